//! Korean, as it is shown: nothing is left in English but what is the same in each language.

use std::{fs, thread, time::Duration};

use tracer_tests::{
    fault::{self, come_and_go},
    netns::isolated,
    sockets::eventually,
    tracer::command,
};
use tracer_texts::untranslated::english;

/// What is younger may still be closed: no leak yet.
const YOUNG: Duration = Duration::from_millis(1_100);
const FAULT: &str = env!("CARGO_BIN_EXE_fault");

/// Calls and settings, and names of this test.
const NAMES: [&str; 6] = ["fault", "for", "hoarder", "net", "read", "target"];

/// A leak with all that is said of it: sentence, evidence, remedies and counts.
#[test]
fn a_diagnosis_in_korean_has_no_english_words() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        come_and_go(address, 5);
        thread::sleep(YOUNG);
        let diagnose = |options: &[&str]| {
            let asked = ["diagnose", "--lang", "ko", "--for", "200ms", namespace.netns];
            let mut text = String::new();
            eventually("the leak is found", || {
                let output = command("", &[&asked, options].concat()).output().unwrap();
                text = String::from_utf8(output.stdout).unwrap();
                output.status.code() == Some(1)
            });
            text
        };
        for (options, words) in [
            (&[][..], "연결 5개 누수. 상대가 닫았는데 close()하지 않음"),
            (&[], "디스크립터"),
            (&[], "close()해야 함"),
            (&["--brief"], "close()해야 함"),
        ] {
            let text = diagnose(options);
            assert!(text.contains(words), "{text}");
            // Commands are for a shell, which knows no Korean.
            let said = text.lines().filter(|line| !line.trim_start().starts_with("$ "));
            let stray: Vec<&str> = said.flat_map(|line| english(line, &NAMES)).collect();
            assert!(stray.is_empty(), "{stray:?}: {text}");
        }
        server.close();
    });
}

/// The page names its language; what it says of a leak is in it.
#[test]
fn a_report_is_in_korean_where_that_is_asked_for() {
    isolated(|namespace| {
        let (server, address) = fault::server(FAULT, "hoarder", &["keep"]);
        come_and_go(address, 5);
        thread::sleep(YOUNG);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report.html");
        let path = file.to_str().unwrap();
        let arguments = ["report", "--lang", "ko", "--duration", "1s", "-o", path];
        let arguments = [&arguments[..], &["--linger", "close-wait=100ms", namespace.netns]];
        let output = command("", &arguments.concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let html = fs::read_to_string(&file).unwrap();
        assert!(html.contains("<html lang=\"ko\">"), "{html}");
        assert!(html.contains("연결 5개 누수"), "{html}");
        server.close();
    });
}
