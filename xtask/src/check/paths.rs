//! The paths in a piece of source, as `crate::kernel::time::monotonic`.

use proc_macro2::{TokenStream, TokenTree};
use syn::ItemUse;

/// One name of a path.
pub(super) type Name = String;

/// What is found in a piece of source.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) named: Vec<Vec<Name>>,
    /// `use` in the body of a function.
    pub(super) imports: Vec<ItemUse>,
}

/// All paths of two names or more, in whatever they stand: types, expressions, arguments of macros.
pub(super) fn paths(tokens: TokenStream) -> Paths {
    let mut found = Paths::default();
    gather(tokens, &mut found);
    found
}

fn gather(tokens: TokenStream, found: &mut Paths) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => gather(group.stream(), found),
            TokenTree::Ident(word) if word == "use" => {
                let length = tokens[at..].iter().position(is_semicolon).map_or(0, |end| end + 1);
                let import: TokenStream = tokens[at..at + length].iter().cloned().collect();
                if let Ok(import) = syn::parse2(import) {
                    found.imports.push(import);
                    at += length;
                    continue;
                }
            }
            TokenTree::Ident(_) => {
                let path = path(&tokens[at..]);
                // Each further name is one token after two colons.
                at += 3 * (path.len() - 1);
                if path.len() > 1 {
                    found.named.push(path);
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}

/// The path that begins with the first token, which is a word.
fn path(mut tokens: &[TokenTree]) -> Vec<Name> {
    let mut path = Vec::new();
    while let [TokenTree::Ident(word), rest @ ..] = tokens {
        path.push(word.to_string());
        match rest {
            [TokenTree::Punct(one), TokenTree::Punct(two), more @ ..]
                if one.as_char() == ':' && two.as_char() == ':' =>
            {
                tokens = more;
            }
            _ => break,
        }
    }
    path
}

fn is_semicolon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == ';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_types_expressions_and_macros() {
        let source = "fn f(a: b::C<d::E>) -> F { use g::{h, i}; j::k!(\"{}\", l::m()); n.o() }";
        let paths = paths(source.parse().unwrap());
        let named: Vec<String> = paths.named.iter().map(|path| path.join("::")).collect();
        assert_eq!(named, ["b::C", "d::E", "j::k", "l::m"]);
        assert_eq!(paths.imports.len(), 1);
    }
}
