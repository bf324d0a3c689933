//! Which exit takes a session, a publish or a subscription: the one place where that is decided.

use mqtt_plane::plain;

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

/// What a route says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it; why, by the item of its `when`; `None`: it has no conditions.
    Taken(Option<Item>),
    /// No item of its `when` does.
    Unmatched,
}

/// What a condition matched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The index of the condition in `when`.
    pub condition: usize,
    /// The index of its pattern; `None`: it has no patterns of client ids and admits all.
    pub pattern: Option<usize>,
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

    /// The decision for a request; `None`: no route takes it. `seen` is told of each route that
    /// was asked, by its index.
    #[must_use]
    pub fn decide(
        &self,
        request: Request<'_>,
        mut seen: impl FnMut(usize, Verdict),
    ) -> Option<Decision> {
        self.0.iter().enumerate().find_map(|(index, route)| {
            let verdict = route.ask(request);
            seen(index, verdict);
            match verdict {
                Verdict::Taken(_) => Some(Decision { route: index, exit: route.exit }),
                Verdict::Unmatched => None,
            }
        })
    }
}

impl Route {
    fn ask(&self, request: Request<'_>) -> Verdict {
        if self.when.is_empty() {
            return Verdict::Taken(None);
        }
        let found = self.when.iter().enumerate().find_map(|(condition, asked)| {
            let pattern = asked.pattern_for(request)?;
            Some(Item { condition, pattern })
        });
        found.map_or(Verdict::Unmatched, |item| Verdict::Taken(Some(item)))
    }
}

impl Condition {
    /// Which pattern takes a request, if it takes it.
    fn pattern_for(&self, request: Request<'_>) -> Option<Option<usize>> {
        match request {
            Request::Session(client_id) => match &self.session {
                Some(patterns) => {
                    patterns.iter().position(|pattern| pattern.matches(client_id)).map(Some)
                }
                None => Some(None),
            },
            Request::Publish(topic) => {
                self.publish.iter().flatten().position(|pattern| pattern.matches(topic)).map(Some)
            }
            // A shared subscription is judged by its plain filter.
            Request::Subscribe(filter) => {
                let filter = plain(filter);
                self.subscribe.iter().flatten().position(|pattern| pattern.covers(filter)).map(Some)
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
        routes.decide(request, |_, _| {}).map(|decision| decision.exit)
    }

    #[test]
    fn a_route_without_conditions_takes_everything() {
        let routes = Routes::new(vec![Route { exit: 3, when: vec![] }]);
        for request in [Request::Session("c"), Request::Publish("$SYS/a"), Request::Subscribe("#")]
        {
            assert_eq!(routes.decide(request, |_, _| {}), Some(Decision { route: 0, exit: 3 }));
        }
        assert_eq!(Routes::default().decide(Request::Session("c"), |_, _| {}), None);
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
        assert_eq!(exit(&second, Request::Subscribe("$share/g/b/+")), Some(1));
        assert_eq!(exit(&second, Request::Subscribe("$share/g/b/#")), None);
    }

    #[test]
    fn each_route_that_is_asked_says_by_which_item_it_takes() {
        let item = |texts: &[&str]| Condition { publish: topics(texts), ..Condition::default() };
        let routes = Routes::new(vec![
            Route { exit: 0, when: vec![item(&["a"])] },
            Route { exit: 1, when: vec![item(&["b"]), item(&["c", "d"])] },
            Route { exit: 2, when: vec![] },
        ]);
        let verdicts = |request| {
            let mut verdicts = Vec::new();
            let decision = routes.decide(request, |route, verdict| verdicts.push((route, verdict)));
            (decision.map(|decision| decision.exit), verdicts)
        };
        let taken = Verdict::Taken(Some(Item { condition: 1, pattern: Some(1) }));
        assert_eq!(
            verdicts(Request::Publish("d")),
            (Some(1), vec![(0, Verdict::Unmatched), (1, taken)])
        );
        let anyone = Verdict::Taken(Some(Item { condition: 0, pattern: None }));
        assert_eq!(verdicts(Request::Session("c")), (Some(0), vec![(0, anyone)]));
    }
}
