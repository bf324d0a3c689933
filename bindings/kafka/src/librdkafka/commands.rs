//! Kafka's own commands that put right what is wrong there: for events, and for who checks a file.

use super::acl::Operation;
use super::settings::Settings;

/// How a value is written into a command: a word of the shell's.
pub(crate) type Word<'a> = &'a dyn Fn(&str) -> String;

/// The commands for one cluster and one principal.
pub(crate) struct Commands<'a> {
    bootstrap: String,
    principal: String,
    word: Word<'a>,
}

impl Settings {
    /// Who we are to Kafka.
    pub(crate) fn principal(&self) -> String {
        let name = self.sasl.as_ref().map_or("ANONYMOUS", |sasl| &sasl.username);
        format!("User:{name}")
    }

    /// The commands for this cluster, as they are run.
    pub(super) fn commands(&self) -> Commands<'static> {
        Commands::new(self, &engine::spi::shell_word)
    }
}

impl<'a> Commands<'a> {
    /// How a command finds the cluster: by the first server. Where that asks for SASL the command
    /// does too: an administrator's credentials, which only people have.
    pub(crate) fn new(settings: &Settings, word: Word<'a>) -> Self {
        let server = word(settings.servers.first().map_or("", String::as_str));
        let credentials =
            settings.sasl.as_ref().map_or("", |_| " --command-config admin.properties");
        let bootstrap = format!("--bootstrap-server {server}{credentials}");
        Self { bootstrap, principal: word(&settings.principal()), word }
    }

    /// Makes a topic.
    pub(crate) fn create(&self, topic: &str, partitions: u32, is_compacted: bool) -> String {
        let policy = if is_compacted { " --config cleanup.policy=compact" } else { "" };
        format!(
            "kafka-topics.sh {} --create --topic {} --partitions {partitions}{policy}",
            self.bootstrap,
            (self.word)(topic),
        )
    }

    /// Sets a property of a topic.
    pub(crate) fn configure(&self, topic: &str, property: &str, value: &str) -> String {
        format!(
            "kafka-configs.sh {} --alter --entity-type topics --entity-name {} \
             --add-config {property}={value}",
            self.bootstrap,
            (self.word)(topic),
        )
    }

    /// Lets our principal do something with a topic.
    pub(crate) fn permit(&self, operations: &[Operation], topic: &str) -> String {
        let names = operations.iter().flat_map(|operation| operation.names());
        let operations: String = names.map(|name| format!(" --operation {name}")).collect();
        format!(
            "kafka-acls.sh {} --add --allow-principal {}{operations} --topic {}",
            self.bootstrap,
            self.principal,
            (self.word)(topic),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::librdkafka::Sasl;

    #[test]
    fn a_command_is_ready_to_run() {
        let mut settings = Settings::plaintext(vec!["k:9092".to_owned()]);
        assert_eq!(
            settings.commands().permit(&[Operation::Read], "t"),
            "kafka-acls.sh --bootstrap-server k:9092 --add --allow-principal User:ANONYMOUS \
             --operation Read --topic t"
        );
        settings.sasl = Some(Sasl {
            mechanism: "PLAIN",
            username: "o'hara $1".to_owned(),
            password: "secret".to_owned(),
        });
        assert_eq!(
            settings.commands().permit(&[Operation::Any], "t"),
            r"kafka-acls.sh --bootstrap-server k:9092 --command-config admin.properties --add \
              --allow-principal 'User:o'\''hara $1' --operation Read --operation Write \
              --operation DescribeConfigs --topic t"
                .replace("\\\n              ", "")
        );
        assert_eq!(
            settings.commands().create("t", 2, true),
            "kafka-topics.sh --bootstrap-server k:9092 --command-config admin.properties --create \
             --topic t --partitions 2 --config cleanup.policy=compact"
        );
    }
}
