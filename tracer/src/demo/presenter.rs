//! Leads through a scenario: says what comes next, lets it happen, and ends the trace.

use anyhow::bail;
use tracer_lab::scenario::Scenario;
use tracer_texts::Texts;

use super::{
    desk::Shared,
    player::{Said, Talk},
};
use tracer_output::width;

/// The width of notes.
const WIDTH: usize = 78;

/// A scenario and those who play and draw it.
pub struct Presenter {
    /// Which one.
    pub scenario: &'static Scenario,
    /// In which language.
    pub texts: Texts,
    /// Who draws it.
    pub desk: Shared,
    /// Who plays it.
    pub talk: Talk,
}

impl Presenter {
    /// Plays it to its end.
    ///
    /// # Errors
    ///
    /// Where the scenario cannot be played, or nobody draws any more.
    pub fn present(&mut self) -> anyhow::Result<()> {
        if !self.desk.wait_for_begin() {
            bail!("the trace does not begin");
        }
        let id = format!("demo-{}", self.scenario.name);
        self.note(&self.texts.attribute(&id, "title").unwrap_or_default(), "")?;
        // The namespace has been reported before the trace began.
        self.talk.go_on()?;
        loop {
            match self.talk.next()? {
                Said::Step(name) => {
                    self.note(&self.texts.attribute(&id, &name).unwrap_or_default(), "▶ ")?;
                    self.talk.go_on()?;
                }
                Said::Done => {
                    let end = self.texts.attribute(&id, "end").unwrap_or_default();
                    return self.note(&end, "■ ");
                }
                Said::Failed(reason) => bail!("{}: {reason}", self.scenario.name),
                Said::Namespace(_) => bail!("the process that plays says its namespace twice"),
            }
        }
    }

    fn note(&self, words: &str, mark: &str) -> anyhow::Result<()> {
        let mut text = String::from("\n");
        for (number, line) in width::wrap(words, WIDTH - mark.len()).iter().enumerate() {
            let mark = if number == 0 { mark } else { &"  "[..mark.chars().count()] };
            text += &format!("{mark}{line}\n");
        }
        if !self.desk.note(text) {
            bail!("nothing is drawn any more");
        }
        Ok(())
    }
}
