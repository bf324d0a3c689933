//! Whether the Kafka of a file has what the file needs of it: asked, never changed, unless topics
//! are to be made.
//!
//! `ask` is what is asked of Kafka, on a thread of its own; `judge` compares the answers with what
//! the file needs, and does no I/O.

mod ask;
mod judge;

use std::time::Duration;

use engine::config::{Problem, Span, codes};
use engine::runtime::Clock;
use engine::spi::{CheckCx, Checkup, Purpose, TopicReport, TopicState};
use tokio::sync::oneshot;

use crate::librdkafka::{Commands, Settings};
use ask::{Answer, Question, Topics};
use judge::Judge;

/// Where the file has what is connected with.
pub(crate) struct Places {
    /// Each of the servers.
    pub(crate) each: Vec<Span>,
    /// All of them.
    pub(crate) servers: Span,
    /// The credentials.
    pub(crate) sasl: Span,
}

/// Looks at the topics that are asked of a client.
pub(crate) async fn look(cx: &CheckCx<'_>, settings: Settings, places: &Places) -> Checkup {
    let word = |value: &str| cx.word(value);
    let judge = Judge {
        cx,
        commands: Commands::new(&settings, &word),
        principal: cx.shown(&settings.principal()),
        wanted: judge::merge(cx.topics()),
    };
    let clock = Clock::new();
    let began = clock.now();
    let problems = resolve(cx, &settings, places).await;
    let left = cx.timeout().saturating_sub(clock.now().saturating_duration_since(began));
    let mut checkup = Checkup { problems, topics: Vec::new() };
    if !settings.servers.is_empty() && checkup.problems.len() == settings.servers.len() {
        // Nobody is left to ask.
        checkup.topics = judge.unknown("not known: no server has an address");
        return checkup;
    }
    match ask(cx, settings, places, judge.names(), left).await {
        Ok(topics) => judge.judge(&topics, &mut checkup),
        Err(problem) => {
            checkup.topics = judge.unknown(&format!("not known: {}", problem.code().title()));
            checkup.problems.push(problem);
        }
    }
    checkup
}

/// Asks about topics, each with whether it is to be compacted.
async fn ask(
    cx: &CheckCx<'_>,
    settings: Settings,
    places: &Places,
    topics: Vec<(String, bool)>,
    timeout: Duration,
) -> Result<Topics, Problem> {
    if settings.servers.is_empty() {
        let message = format!("`{}` names no servers, and its exit none", cx.name());
        return Err(Problem::new(codes::E0602, places.servers.clone(), message)
            .with_help("add options.servers: [host:port]"));
    }
    let servers = cx.shown(&settings.servers.join(", "));
    let username = settings.sasl.as_ref().map(|sasl| cx.shown(&sasl.username));
    let question = Question { settings, topics, creates: creates(cx.purpose()), timeout };
    match ask_on_a_thread(question).await {
        Answer::Topics(topics) => Ok(topics),
        Answer::Unreachable(reason) => {
            let (seconds, cause) = (cx.timeout().as_secs_f64(), cx.shown(&cause(&reason)));
            let message = format!("Kafka did not answer within {seconds} s at {servers}{cause}");
            let help = "is this its address, does it run, and does it take connections from here?";
            Err(Problem::new(codes::E0613, places.servers.clone(), message).with_help(help))
        }
        Answer::Unauthenticated(reason) => {
            let (username, cause) = (username.unwrap_or_default(), cx.shown(&cause(&reason)));
            let message = format!("Kafka refuses the credentials of `{username}`{cause}");
            let help = "mend the user name or the password, here or in Kafka";
            Err(Problem::new(codes::E0606, places.sasl.clone(), message).with_help(help))
        }
        Answer::Failed(error) => {
            let message = format!("Kafka could not be asked: {}", cx.shown(&error));
            Err(Problem::new(codes::E0613, places.servers.clone(), message))
        }
    }
}

fn creates(purpose: Purpose) -> Option<u32> {
    match purpose {
        Purpose::Topics { creates: true, partitions } => Some(partitions),
        Purpose::Topics { creates: false, .. } | Purpose::Problems => None,
    }
}

/// A server whose name has no address is a problem of its own place.
async fn resolve(cx: &CheckCx<'_>, settings: &Settings, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (server, span) in settings.servers.iter().zip(&places.each) {
        // One that is slow to resolve is left to who connects.
        let resolved = tokio::time::timeout(cx.timeout() / 2, tokio::net::lookup_host(server));
        if let Ok(Err(error)) = resolved.await {
            let host = server.rsplit_once(':').map_or(server.as_str(), |(host, _)| host);
            let message = format!("the host name {} cannot be resolved: {error}", cx.shown(host));
            problems.push(Problem::new(codes::E0504, span.clone(), message));
        }
    }
    problems
}

/// The part of a reason of librdkafka's that names no address: `: Connection refused`.
fn cause(reason: &str) -> String {
    let cause = reason.rsplit(": ").next().unwrap_or_default();
    let cause = cause.split(" (after ").next().unwrap_or_default().trim();
    if cause.is_empty() { String::new() } else { format!(": {cause}") }
}

/// librdkafka blocks, also to end: the answer comes before the thread ends.
async fn ask_on_a_thread(question: Question) -> Answer {
    let (answer, answered) = oneshot::channel();
    let patience = question.timeout + Duration::from_millis(500);
    let asking = std::thread::Builder::new().name("kafka-check".to_owned()).spawn(move || {
        ask::ask(&question, |found| {
            // Who asked may have gone.
            answer.send(found).ok();
        });
    });
    if let Err(error) = asking {
        return Answer::Failed(error.to_string());
    }
    match tokio::time::timeout(patience, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Answer::Failed("the thread that asked it ended".to_owned()),
        Err(_) => Answer::Unreachable(String::new()),
    }
}

impl Judge<'_> {
    /// Reports of topics about which nothing is known.
    fn unknown(&self, why: &str) -> Vec<TopicReport> {
        let state = TopicState::Unknown(why.to_owned());
        self.wanted.iter().map(|wanted| self.report(wanted, state.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_names_no_address() {
        for (reason, expected) in [
            (
                "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused \
                 (after 0ms in state CONNECT)",
                ": Connection refused",
            ),
            ("k:9092/bootstrap: Disconnected", ": Disconnected"),
            ("", ""),
        ] {
            assert_eq!(cause(reason), expected);
        }
    }
}
