//! What Kafka does not let this principal do, and the command that permits it.

use std::sync::atomic::Ordering;

use super::Client;
use super::settings::Settings;
use crate::cluster::Topic;

/// What an access control list may permit for a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Everything that is done with a topic.
    Any,
    Read,
    Write,
    DescribeConfigs,
}

impl Operation {
    /// What it is, in a sentence.
    fn verb(self) -> &'static str {
        match self {
            Self::Any => "use",
            Self::Read => "read",
            Self::Write => "write to",
            Self::DescribeConfigs => "learn the configuration of",
        }
    }

    /// The operations to permit, as Kafka's tools spell them.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Any => &["Read", "Write", "DescribeConfigs"],
            Self::Read => &["Read"],
            Self::Write => &["Write"],
            Self::DescribeConfigs => &["DescribeConfigs"],
        }
    }
}

impl Settings {
    /// Who we are to Kafka.
    fn principal(&self) -> String {
        let name = self.sasl.as_ref().map_or("ANONYMOUS", |sasl| &sasl.username);
        format!("User:{name}")
    }

    /// How a command of Kafka's finds the cluster. Where that asks for SASL the command does too:
    /// an administrator's credentials, which only people have.
    pub(super) fn bootstrap(&self) -> String {
        let server = self.servers.first().map_or("", String::as_str);
        let credentials = self.sasl.as_ref().map_or("", |_| " --command-config admin.properties");
        format!("--bootstrap-server {server}{credentials}")
    }

    /// The command that permits `operation` for a topic.
    fn permit(&self, operation: Operation, topic: &str) -> String {
        let operations: String =
            operation.names().iter().map(|name| format!(" --operation {name}")).collect();
        format!(
            "kafka-acls {} --add --allow-principal {}{operations} --topic {topic}",
            self.bootstrap(),
            quoted(&self.principal()),
        )
    }
}

impl Client {
    /// Says that Kafka does not permit something.
    pub(super) fn tell_denied(&self, operation: Operation, topic: &str) {
        tracing::error!(
            event = "kafka.topic.denied",
            cluster = %self.name,
            topic,
            principal = %self.settings.principal(),
            "Kafka does not let this principal {} the topic; permit it: {}",
            operation.verb(),
            self.settings.permit(operation, topic),
        );
    }

    /// Notes that Kafka took no record for a topic, and says so where that is new.
    pub(super) fn deny_writes(&self, topic: &Topic) {
        self.are_reports_named.store(true, Ordering::Relaxed);
        if topic.writes.deny() {
            self.tell_denied(Operation::Write, &topic.name);
        }
    }

    /// Notes that Kafka permits again what it did not, and says so where that is new.
    pub(super) fn tell_granted(&self, operation: Operation, topic: &Topic) {
        tracing::info!(
            event = "kafka.topic.granted",
            cluster = %self.name,
            topic = %topic.name,
            "Kafka lets this principal {} the topic",
            operation.verb(),
        );
    }
}

/// A word of a shell command.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:@/+".contains(c);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::librdkafka::Sasl;

    #[test]
    fn a_command_is_ready_to_run() {
        let mut settings = Settings::plaintext(vec!["k:9092".to_owned()]);
        assert_eq!(
            settings.permit(Operation::Read, "t"),
            "kafka-acls --bootstrap-server k:9092 --add --allow-principal User:ANONYMOUS \
             --operation Read --topic t"
        );
        settings.sasl = Some(Sasl {
            mechanism: "PLAIN",
            username: "o'hara $1".to_owned(),
            password: "secret".to_owned(),
        });
        assert_eq!(
            settings.permit(Operation::Any, "t"),
            r"kafka-acls --bootstrap-server k:9092 --command-config admin.properties --add \
              --allow-principal 'User:o'\''hara $1' --operation Read --operation Write \
              --operation DescribeConfigs --topic t"
                .replace("\\\n              ", "")
        );
    }
}
