//! What cargo says of what it builds (`--message-format json`).

use std::path::PathBuf;

use serde_json::Value;

/// The test programs, by name.
pub(super) fn test_programs(messages: &[u8]) -> Vec<(String, PathBuf)> {
    String::from_utf8_lossy(messages).lines().filter_map(test_program).collect()
}

/// What a line of cargo's messages says of a test program.
fn test_program(line: &str) -> Option<(String, PathBuf)> {
    let said: Value = serde_json::from_str(line).ok()?;
    let target = &said["target"];
    let is_test = target["kind"].as_array()?.iter().any(|kind| kind == "test");
    let program = said["executable"].as_str()?;
    is_test.then(|| Some((target["name"].as_str()?.to_owned(), program.into()))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_what_else_cargo_builds() {
        let line = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"n"}},
                   "executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let program = test_program(&line("test", r#""/t/n-1""#)).unwrap();
        assert_eq!(program, ("n".to_owned(), PathBuf::from("/t/n-1")));
        assert_eq!(test_program(&line("test", "null")), None);
        assert_eq!(test_program(&line("bin", r#""/t/n""#)), None);
        assert_eq!(test_program("no JSON"), None);
    }
}
