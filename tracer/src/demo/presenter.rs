//! Leads through a scenario: says what comes next, asks where that is wanted, lets it happen, and
//! ends the trace.

use anyhow::bail;
use tracer_lab::scenario::Scenario;
use tracer_texts::Texts;

use super::{
    desk::Shared,
    keys,
    player::{Said, Talk},
    quiz::{self, Question},
};
use tracer_output::width;

/// The width of notes.
const WIDTH: usize = 78;

/// Answers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// As the kernel did.
    pub right: u32,
    /// All that count.
    pub asked: u32,
}

/// A scenario and those who play and draw it.
pub struct Presenter {
    scenario: &'static Scenario,
    texts: Texts,
    /// Who draws it.
    desk: Shared,
    /// Who plays it.
    talk: Talk,
    /// Asks before each step.
    asks: bool,
    /// Said at the end, where it stays.
    farewell: Option<String>,
    /// Answers so far.
    pub score: Score,
    /// To its end.
    pub is_complete: bool,
}

/// Somebody does not want to go on.
#[derive(Debug, thiserror::Error)]
#[error("quit")]
struct Quit;

impl Presenter {
    /// For a scenario that is about to be played.
    pub fn new(scenario: &'static Scenario, texts: Texts, desk: Shared, talk: Talk) -> Self {
        let (score, is_complete) = Default::default();
        Self { scenario, texts, desk, talk, asks: false, farewell: None, score, is_complete }
    }

    /// Asks before each step, or does not.
    #[must_use]
    pub fn asking(self, asks: bool) -> Self {
        Self { asks, ..self }
    }

    /// Says at the end how to look at what stays.
    #[must_use]
    pub fn staying(self, farewell: Option<String>) -> Self {
        Self { farewell, ..self }
    }

    /// Plays it to its end.
    ///
    /// # Errors
    ///
    /// Where the scenario cannot be played, or nobody draws any more.
    pub fn present(&mut self) -> anyhow::Result<()> {
        match self.lead() {
            Err(error) if error.is::<Quit>() => Ok(()),
            other => other,
        }
    }

    fn lead(&mut self) -> anyhow::Result<()> {
        if !self.desk.wait_for_begin() {
            bail!("the trace does not begin");
        }
        self.note("", &self.text("title"))?;
        // The namespace has been reported before the trace began.
        self.talk.go_on()?;
        // Asked before the step that is under way, with what was answered.
        let mut open: Vec<(&Question, usize)> = Vec::new();
        loop {
            let said = self.talk.listen()?;
            self.judge(&std::mem::take(&mut open))?;
            match said {
                Said::Step(name) => {
                    self.note("▶ ", &self.text(&name))?;
                    open = self.ask(&name)?;
                    self.talk.go_on()?;
                }
                Said::Done => return self.end(),
                Said::Failed(reason) => bail!("{}: {reason}", self.scenario.name),
                Said::Namespace(_) => bail!("the process that plays says its namespace twice"),
            }
        }
    }

    fn text(&self, part: &str) -> String {
        let name = format!("demo-{}", self.scenario.name);
        self.texts.attribute(&name, part).unwrap_or_default()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.note("■ ", &self.text("end"))?;
        if self.score.asked > 0 {
            self.note("", &self.texts.say_with("step-score", &self.score.values()))?;
        }
        if let Some(farewell) = &self.farewell {
            self.note("", farewell)?;
        }
        self.is_complete = true;
        Ok(())
    }

    /// Asks what comes next; the answers, or that nobody wants to go on.
    fn ask(&self, step: &str) -> anyhow::Result<Vec<(&'static Question, usize)>> {
        let mut answers = Vec::new();
        if !self.asks {
            return Ok(answers);
        }
        for question in quiz::before(self.scenario.name, step) {
            let numbered = question.choices.iter().enumerate();
            let shown = |choice| quiz::shown(choice, &self.texts);
            let choices: Vec<String> = numbered
                .map(|(number, choice)| format!("{} {}", number + 1, shown(choice)))
                .collect();
            let count = [("count", choices.len().to_string())];
            let question_itself = noted("? ", &question.say(&self.texts));
            let keys = self.texts.say_with("answer-keys", &count);
            self.write(&format!("{question_itself}  {}\n  {keys}\n", choices.join("   ")))?;
            let answer = loop {
                let Some(key) = keys::next().filter(|key| *key != 'q') else { bail!(Quit) };
                let number = key.to_digit(10).map_or(0, |number| number as usize);
                if (1..=choices.len()).contains(&number) {
                    break number - 1;
                }
            };
            self.desk.turn_page();
            self.write(&format!("  → {}\n", shown(question.choices[answer])))?;
            answers.push((question, answer));
        }
        Ok(answers)
    }

    /// Compares the answers with what the kernel did.
    fn judge(&mut self, answers: &[(&Question, usize)]) -> anyhow::Result<()> {
        // All that has happened has been drawn then.
        self.write("")?;
        let happened = self.desk.take_happened();
        for (question, answer) in answers {
            let did = question.answer(&happened);
            let (is_known, is_right) = match &did {
                Some(did) => (
                    question.choices.contains(&did.as_str()),
                    question.choices[*answer] == did.as_str(),
                ),
                None => (false, false),
            };
            self.score.asked += u32::from(is_known);
            self.score.right += u32::from(is_right);
            let answer = quiz::shown(did.as_deref().unwrap_or_default(), &self.texts);
            let value = [("answer", answer.to_owned())];
            let (mark, words) = match (did.is_some(), is_known, is_right) {
                (false, ..) => ("· ", "answer-unknown"),
                (_, false, _) => ("· ", "answer-other"),
                (.., true) => ("✓ ", "answer-right"),
                (.., false) => ("✗ ", "answer-wrong"),
            };
            let words = self.texts.say_with(words, &value);
            self.note(mark, &format!("{} {words}", question.say(&self.texts)))?;
        }
        Ok(())
    }

    fn note(&self, mark: &str, words: &str) -> anyhow::Result<()> {
        self.write(&noted(mark, words))
    }

    /// Writes, page by page where somebody sits at a terminal.
    fn write(&self, text: &str) -> anyhow::Result<()> {
        if self.desk.is_full(text.lines().count()) {
            self.turn_page()?;
        }
        if !self.desk.note(text.to_owned()) {
            bail!("nothing is drawn any more");
        }
        while self.desk.is_full(0) {
            self.turn_page()?;
        }
        Ok(())
    }

    /// Waits for a key.
    fn turn_page(&self) -> anyhow::Result<()> {
        self.desk.say(format!("  {}\n", self.texts.say("step-page")));
        if keys::any().is_none_or(|key| key == 'q') {
            bail!(Quit);
        }
        self.desk.turn_page();
        Ok(())
    }
}

/// Words as a note, with a mark in front.
fn noted(mark: &str, words: &str) -> String {
    let mut text = String::from("\n");
    for (number, line) in width::wrap(words, WIDTH - 2).iter().enumerate() {
        let mark = if number == 0 { mark } else { &"  "[..mark.chars().count()] };
        text += &format!("{mark}{line}\n");
    }
    text
}

impl Score {
    /// For the texts that say it.
    pub fn values(self) -> [(&'static str, String); 2] {
        [("right", self.right.to_string()), ("asked", self.asked.to_string())]
    }

    /// As it is handed on: `3/4`.
    pub fn line(self) -> String {
        format!("{}/{}\n", self.right, self.asked)
    }

    /// Reads [`Self::line`].
    pub fn parse(line: &str) -> Option<Self> {
        let (right, asked) = line.trim().split_once('/')?;
        Some(Self { right: right.parse().ok()?, asked: asked.parse().ok()? })
    }
}
