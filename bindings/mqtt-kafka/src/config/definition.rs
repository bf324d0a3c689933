//! The kind and the definition, as the engine sees them.

use std::any::Any;
use std::sync::Arc;

use engine::config::{ExitName, NodeConfig, NodeName, Problem, Problems};
use engine::spi::{
    Action, Attached, BindingKind, BoxFuture, Coupling, Definition, Entry, Exit, External, Links,
    Plane, PrepareCx, Prepared, PropertyValues, Rule, TopicNeed, Trace, WorkerCx, definition_as,
    prepared_as,
};
use kafka_plane::Kafka;
use mqtt_plane::{FileLimits, Mqtt, MqttExit};
use std::rc::Rc;

use super::{mapping, properties, topics};
use crate::explain::explain;
use crate::proxy::{Hub, MqttKafka, Shared};
use crate::state::Mapping;

/// The `type: mqtt-kafka` of the YAML.
pub struct MqttKafkaKind;

impl BindingKind for MqttKafkaKind {
    fn name(&self) -> &'static str {
        "mqtt-kafka"
    }

    fn schema(&self) -> &'static str {
        schema::MQTT_KAFKA
    }

    fn define(&self, node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
        let mut found = Problems::default();
        let defined = mapping::define(node, &mut found);
        let is_usable = !found.has_errors();
        found.iter().for_each(|problem| problems.push(problem.clone()));
        let (mapping, exits) = defined.filter(|_| is_usable)?;
        let name = node.node_name();
        let topics = topics::needs(node, &mapping, &exits);
        Some(Arc::new(MqttKafkaDefinition { name, mapping: Arc::new(mapping), exits, topics }))
    }
}

/// A binding of type `mqtt-kafka`.
pub struct MqttKafkaDefinition {
    pub(crate) name: NodeName,
    pub(crate) mapping: Arc<Mapping>,
    /// By [`crate::state::Route::exit`].
    pub(crate) exits: Vec<ExitName>,
    pub(crate) topics: Vec<TopicNeed>,
}

impl MqttKafkaDefinition {
    /// The mapping in a run with these properties, and the rule that bounds its QoS.
    pub(crate) fn in_run<'a>(
        &self,
        property: impl Fn(&str) -> Option<&'a str>,
    ) -> (Arc<Mapping>, Rule) {
        let mapping = self.mapping.bounded(properties::qos_max(property));
        let rule = match mapping.qos_max < self.mapping.qos_max {
            true => Rule::property(properties::QOS_MAX),
            false => "/options/publish/qosMax".into(),
        };
        (mapping, rule)
    }
}

impl Definition for MqttKafkaDefinition {
    fn entry(&self) -> Option<&'static str> {
        Some(Mqtt::NAME)
    }

    fn exits(&self) -> Vec<Exit> {
        let exit = |exit: &ExitName| Exit {
            name: exit.name.clone(),
            plane: Kafka::NAME,
            coupling: Coupling::Link,
            span: exit.span.clone(),
        };
        self.exits.iter().map(exit).collect()
    }

    fn externals(&self) -> Vec<External> {
        let Mapping { sessions, messages, retained, routes, .. } = &*self.mapping;
        let fixed = [sessions, messages, retained].into_iter().map(ToString::to_string);
        let routed = routes.iter().filter_map(|route| route.messages.as_ref());
        fixed.chain(routed.map(ToString::to_string)).map(External::Topic).collect()
    }

    fn topics(&self) -> Vec<TopicNeed> {
        self.topics.clone()
    }

    fn explain(&self, action: &Action, trace: &mut Trace<'_>) {
        explain(self, action, trace);
    }

    fn bounds(&self, properties: &PropertyValues) -> Option<Box<dyn Any>> {
        let property = |name: &str| properties.get(name).map(String::as_str);
        let (mapping, maximum_qos) = self.in_run(property);
        // What a record may hold is Kafka's to say.
        Some(Box::new(FileLimits { limits: mapping.limits(None), maximum_qos }))
    }

    /// Topics, routes and exits: open sessions are moved to whatever changed.
    fn absorbs(&self, old: &dyn Definition) -> bool {
        definition_as::<Self>(old).is_some()
    }

    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        // Of one binding over its reloads, and shared by its workers.
        let key = format!("{}/shared-by-workers", cx.name());
        let made: Result<Arc<Shared>, Problem> = cx.store().get_or_make(&key, || {
            Ok(Arc::new(Shared::bounded(properties::qos_max(|name| cx.property(name)))))
        });
        Box::pin(std::future::ready(made.map(|shared| shared as Prepared)))
    }

    fn attach(&self, prepared: &Prepared, cx: &WorkerCx, links: &mut Links<'_>) -> Attached {
        let exits = self.exits.iter().map(|exit| (exit.name.clone(), links.link(&exit.name)));
        let shared = prepared_as::<Shared>(prepared);
        let mapping = shared.bound(&self.mapping);
        let hub = Hub::new(&self.name, cx, mapping, exits.collect(), shared);
        let exit: Rc<dyn MqttExit> = Rc::new(MqttKafka(Rc::clone(&hub)));
        Attached { entry: Some(Entry::new::<Mqtt>(exit)), node: Rc::new(MqttKafka(hub)) }
    }
}
