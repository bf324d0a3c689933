//! Which exit takes a session, a publish or a subscription: the one place where that is decided.

use super::{ClientPattern, TopicPattern};

/// The routes of a binding, in order; the first that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The index of its exit among the binding's exits.
    pub exit: usize,
    /// Its conditions, of which one suffices; none: it takes everything.
    pub when: Vec<Condition>,
}

/// One item of a route's `when`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The client ids that it admits; `None`: all.
    pub session: Option<Vec<ClientPattern>>,
    /// The topics that may be published to; `None`: none.
    pub publish: Option<Vec<TopicPattern>>,
    /// The topics that may be subscribed to; `None`: none.
    pub subscribe: Option<Vec<TopicPattern>>,
}

/// What is asked of the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// To begin a session with this client id.
    Session(&'a str),
    /// To publish to this topic name.
    Publish(&'a str),
    /// To subscribe to this topic filter.
    Subscribe(&'a str),
}

/// What the routes answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The index of the route that decided.
    pub route: usize,
    /// The index of its exit.
    pub exit: usize,
}

impl Routes {
    /// Routes in the order in which they are tried.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The decision for every request, where the first route takes everything.
    #[must_use]
    pub fn only(&self) -> Option<Decision> {
        let first = self.0.first().filter(|route| route.when.is_empty())?;
        Some(Decision { route: 0, exit: first.exit })
    }

    /// The decision for a request; `None`: no route takes it.
    #[must_use]
    pub fn decide(&self, request: Request<'_>) -> Option<Decision> {
        let route = self.0.iter().position(|route| route.takes(request))?;
        Some(Decision { route, exit: self.0[route].exit })
    }
}

impl Route {
    fn takes(&self, request: Request<'_>) -> bool {
        self.when.is_empty() || self.when.iter().any(|condition| condition.takes(request))
    }
}

impl Condition {
    fn takes(&self, request: Request<'_>) -> bool {
        match request {
            Request::Session(client_id) => match &self.session {
                Some(patterns) => patterns.iter().any(|pattern| pattern.matches(client_id)),
                None => true,
            },
            Request::Publish(topic) => {
                self.publish.iter().flatten().any(|pattern| pattern.matches(topic))
            }
            Request::Subscribe(filter) => {
                self.subscribe.iter().flatten().any(|pattern| pattern.covers(filter))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(texts: &[&str]) -> Option<Vec<TopicPattern>> {
        Some(texts.iter().map(|text| TopicPattern::parse(text, |_| None).unwrap()).collect())
    }

    fn exit(routes: &Routes, request: Request<'_>) -> Option<usize> {
        routes.decide(request).map(|decision| decision.exit)
    }

    #[test]
    fn a_route_without_conditions_takes_everything() {
        let routes = Routes::new(vec![Route { exit: 3, when: vec![] }]);
        for request in [Request::Session("c"), Request::Publish("$SYS/a"), Request::Subscribe("#")]
        {
            assert_eq!(routes.decide(request), Some(Decision { route: 0, exit: 3 }));
        }
        assert_eq!(Routes::default().decide(Request::Session("c")), None);
    }

    #[test]
    fn an_item_without_session_admits_all_and_without_topics_permits_none() {
        let publish = Condition { publish: topics(&["a/#"]), ..Condition::default() };
        let session = Condition {
            session: Some(vec![ClientPattern::new("dev-*")]),
            subscribe: topics(&["b/+"]),
            ..Condition::default()
        };
        let first = Routes::new(vec![Route { exit: 0, when: vec![publish.clone()] }]);
        assert_eq!(exit(&first, Request::Session("any")), Some(0));
        assert_eq!(exit(&first, Request::Publish("a/x")), Some(0));
        assert_eq!(exit(&first, Request::Publish("b/x")), None);
        assert_eq!(exit(&first, Request::Subscribe("a/#")), None);
        let second = Routes::new(vec![
            Route { exit: 1, when: vec![session] },
            Route { exit: 0, when: vec![publish] },
        ]);
        assert_eq!(exit(&second, Request::Session("dev-1")), Some(1));
        assert_eq!(exit(&second, Request::Session("other")), Some(0));
        assert_eq!(exit(&second, Request::Publish("a/x")), Some(0));
        assert_eq!(exit(&second, Request::Subscribe("b/+")), Some(1));
        assert_eq!(exit(&second, Request::Subscribe("b/#")), None);
    }
}
