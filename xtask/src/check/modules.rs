//! The modules of a crate and what each takes from the others, read from the source.
//!
//! A module is known by its file: one written inside another's braces counts as part of it. What
//! only tests compile is left out. A path leads to the module that defines its last name: through
//! what other modules re-export, and through the names under which a module has imported others.
//! Method calls, and what glob imports bring along, are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use quote::ToTokens as _;
use syn::{Attribute, Item, ItemUse, UseTree};

use super::paths::{Name, paths};

/// What the files of a crate take from each other.
#[derive(Default)]
pub(super) struct Modules {
    scopes: Vec<Scope>,
}

/// A module, in a file of its own or within one.
struct Scope {
    file: PathBuf,
    /// The names that lead here from the root of the crate.
    names: Vec<Name>,
    parent: Option<usize>,
    children: BTreeMap<Name, usize>,
    /// Names that `use` brings here, with what they stand for.
    imports: BTreeMap<Name, Vec<Name>>,
    /// Everything that is named.
    paths: Vec<Vec<Name>>,
}

/// One file takes names from another of its crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tie {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) taken: BTreeSet<Name>,
}

/// A file and the module that it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) module: Vec<Name>,
    pub(super) file: PathBuf,
}

impl Modules {
    /// Reads a crate from the file of its root.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut modules = Self::default();
        let directory = root.parent().unwrap_or(root).to_owned();
        modules.read_file(root, &directory, Vec::new(), None)?;
        Ok(modules)
    }

    fn read_file(
        &mut self,
        file: &Path,
        directory: &Path,
        names: Vec<Name>,
        parent: Option<usize>,
    ) -> Result<usize> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        let parsed = syn::parse_file(&text);
        let parsed = parsed.with_context(|| format!("cannot parse {}", file.display()))?;
        self.add(file, directory, names, parent, &parsed.items)
    }

    fn add(
        &mut self,
        file: &Path,
        directory: &Path,
        names: Vec<Name>,
        parent: Option<usize>,
        items: &[Item],
    ) -> Result<usize> {
        let this = self.scopes.len();
        self.scopes.push(Scope {
            file: file.to_owned(),
            names,
            parent,
            children: BTreeMap::new(),
            imports: BTreeMap::new(),
            paths: Vec::new(),
        });
        for item in items {
            match item {
                item if is_for_tests(attributes(item)) => {}
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let mut inner = self.scopes[this].names.clone();
                    inner.push(name.clone());
                    let below = directory.join(&name);
                    let child = match &module.content {
                        Some((_, items)) => self.add(file, &below, inner, Some(this), items)?,
                        None => {
                            let beside = below.with_extension("rs");
                            let file = if beside.exists() { beside } else { below.join("mod.rs") };
                            self.read_file(&file, &below, inner, Some(this))?
                        }
                    };
                    self.scopes[this].children.insert(name, child);
                }
                Item::Use(import) => self.import(this, import),
                other => {
                    let paths = paths(other.to_token_stream());
                    self.scopes[this].paths.extend(paths.named);
                    for import in &paths.imports {
                        self.import(this, import);
                    }
                }
            }
        }
        Ok(this)
    }

    fn import(&mut self, scope: usize, import: &ItemUse) {
        let scope = &mut self.scopes[scope];
        for (path, name) in leaves(&import.tree) {
            if let Some(name) = name {
                scope.imports.insert(name, path.clone());
            }
            scope.paths.push(path);
        }
    }

    /// What the files take from each other.
    pub(super) fn ties(&self) -> Vec<Tie> {
        let mut ties: BTreeMap<(Place, Place), BTreeSet<Name>> = BTreeMap::new();
        for (index, scope) in self.scopes.iter().enumerate() {
            for path in &scope.paths {
                let Some((defining, Some(taken))) = self.resolve(index, path, 0) else { continue };
                let (from, to) = (self.place(index), self.place(defining));
                if from.file != to.file {
                    ties.entry((from, to)).or_default().insert(taken);
                }
            }
        }
        ties.into_iter().map(|((from, to), taken)| Tie { from, to, taken }).collect()
    }

    fn place(&self, mut index: usize) -> Place {
        let Scope { file, .. } = &self.scopes[index];
        // Up to the module that the whole file is.
        while let Some(parent) = self.scopes[index].parent
            && self.scopes[parent].file == *file
        {
            index = parent;
        }
        Place { module: self.scopes[index].names.clone(), file: file.clone() }
    }

    /// The module that defines what a path names in `scope`, with the name there; no name where
    /// the path is that of a module.
    fn resolve(&self, scope: usize, path: &[Name], depth: usize) -> Option<(usize, Option<Name>)> {
        // Two modules that import a name from each other.
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(0, rest, depth),
            "self" => self.descend(scope, rest, depth),
            "super" => {
                let parent = self.scopes[scope].parent?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(parent, rest, depth),
                    _ => self.descend(parent, rest, depth),
                }
            }
            _ => self.within(scope, path, depth)?,
        }
    }

    /// The same from a module on.
    fn descend(&self, scope: usize, path: &[Name], depth: usize) -> Option<(usize, Option<Name>)> {
        match path {
            [] => Some((scope, None)),
            [name, ..] => {
                self.within(scope, path, depth).unwrap_or(Some((scope, Some(name.clone()))))
            }
        }
    }

    /// The same where the first name is that of a child or of an import.
    #[expect(
        clippy::option_option,
        reason = "not known here, or known and leading out of the crate"
    )]
    fn within(
        &self,
        scope: usize,
        path: &[Name],
        depth: usize,
    ) -> Option<Option<(usize, Option<Name>)>> {
        let (first, rest) = path.split_first()?;
        let Scope { children, imports, .. } = &self.scopes[scope];
        if let Some(child) = children.get(first) {
            return Some(self.descend(*child, rest, depth));
        }
        let import = imports.get(first)?;
        let whole: Vec<Name> = import.iter().chain(rest).cloned().collect();
        Some(self.resolve(scope, &whole, depth + 1))
    }
}

/// The paths of a `use`, each with the name that it brings; none of a glob.
fn leaves(tree: &UseTree) -> Vec<(Vec<Name>, Option<Name>)> {
    match tree {
        UseTree::Path(path) => {
            let mut leaves = leaves(&path.tree);
            for (rest, name) in &mut leaves {
                // `a::{self}` is `a`.
                if let [only] = rest.as_slice()
                    && only == "self"
                {
                    rest.clear();
                    if name.as_deref() == Some("self") {
                        *name = Some(path.ident.to_string());
                    }
                }
                rest.insert(0, path.ident.to_string());
            }
            leaves
        }
        UseTree::Name(name) => {
            vec![(vec![name.ident.to_string()], Some(name.ident.to_string()))]
        }
        UseTree::Rename(rename) => {
            vec![(vec![rename.ident.to_string()], Some(rename.rename.to_string()))]
        }
        UseTree::Glob(_) => vec![(vec!["*".to_owned()], None)],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether only tests compile it.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string();
        attribute.path().is_ident("cfg")
            && text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")
            && !text.contains("not")
    })
}
