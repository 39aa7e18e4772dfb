//! Help and errors of the command line, as people see them.

#[test]
fn help_and_errors_are_as_documented() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd");
}
