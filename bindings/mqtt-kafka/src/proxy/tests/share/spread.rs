//! How a group spreads what it receives.

use super::*;

#[test]
fn messages_are_spread_evenly_and_each_goes_to_one_member() {
    on_one_and_three(async |workers| {
        let mut members = Vec::new();
        for number in 0..3 {
            let worker = on(&workers, number);
            members.push(
                workers.member(worker, &number.to_string(), "$share/g/t", Qos::AtLeastOnce).await,
            );
        }
        assert_eq!((workers.groups(), workers.subscriptions()), (1, 3));
        let mut taken = vec![Vec::new(); 3];
        for round in 0..20 {
            workers.publish(round * 15..(round + 1) * 15, Qos::AtLeastOnce).await;
            for (member, taken) in members.iter_mut().zip(&mut taken) {
                taken.extend(numbers(&member.take_all()));
            }
            workers.settle().await;
        }
        for taken in &taken {
            assert_eq!(taken.len(), 100);
            assert!(taken.is_sorted(), "{taken:?}");
        }
        let mut all = taken.concat();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
        members.into_iter().for_each(|member| member.leave(false));
        workers.settle().await;
        assert_eq!((workers.groups(), workers.subscriptions()), (0, 0));
        assert!(workers.0.iter().all(|world| world.hub.len() == 0));
    });
}

#[test]
fn each_group_gets_all_and_plain_subscriptions_beside_them() {
    on_one_and_three(async |workers| {
        let mut one = workers.member(0, "one", "$share/one/t", Qos::AtLeastOnce).await;
        let mut two = workers.member(on(&workers, 1), "two", "$share/two/t", Qos::AtMostOnce).await;
        let mut other =
            workers.member(on(&workers, 2), "3", "$share/one/+", Qos::AtLeastOnce).await;
        // Two subscriptions of one session: the message comes for each.
        let both = Subscription { id: Some(7), ..subscription("t", Qos::AtMostOnce) };
        assert_eq!(workers.subscribe(&mut one, &[both]).await, [ReasonCode(0)]);
        assert_eq!(workers.groups(), 3, "of one name, but of two filters");
        workers.publish(0..5, Qos::AtLeastOnce).await;
        let mut of_one = numbers(&one.take_all());
        of_one.sort_unstable();
        assert_eq!(of_one, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(numbers(&two.take_all()), [0, 1, 2, 3, 4]);
        assert_eq!(numbers(&other.take_all()), [0, 1, 2, 3, 4]);
    });
}

// [MQTT-4.8.2-3]
#[test]
fn each_member_has_its_own_qos_and_options() {
    on_one_and_three(async |workers| {
        let mut members = Vec::new();
        for (number, qos) in
            [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce].into_iter().enumerate()
        {
            let mut member = workers.connect(on(&workers, number), &number.to_string(), true);
            let id = u32::try_from(number).unwrap() + 1;
            let asked = Subscription {
                id: Some(id),
                retain_as_published: number == 1,
                ..subscription("$share/g/t", qos)
            };
            assert_eq!(workers.subscribe(&mut member, &[asked]).await, [ReasonCode(qos as u8)]);
            member.take(100);
            members.push(member);
        }
        workers.settle().await;
        let mut publisher = workers.0[0].open("p");
        for number in 0..6 {
            let text = number.to_string();
            let publish = message("t", &text, Qos::ExactlyOnce);
            publisher.publish(&Publish { retain: number < 3, ..publish }).unwrap();
        }
        workers.settle().await;
        for (number, member) in members.iter_mut().enumerate() {
            let seen: Vec<_> = received(&member.events(9))
                .into_iter()
                .map(|message| (message.qos as usize, message.retain, message.ids))
                .collect();
            let id = u32::try_from(number).unwrap() + 1;
            assert_eq!(seen, [(number, number == 1, vec![id]), (number, false, vec![id])]);
        }
    });
}

// [MQTT-4.8.2-6]: the binding that speaks MQTT tells a refusal as it tells a success.
#[test]
fn what_is_complete_goes_to_nobody_else() {
    on_one_and_three(async |workers| {
        let mut first = workers.member(0, "1", "$share/g/t", Qos::ExactlyOnce).await;
        workers.publish(0..2, Qos::AtLeastOnce).await;
        workers.publish(2..4, Qos::ExactlyOnce).await;
        assert_eq!(first.take(9).len(), 4);
        first.acknowledge(4);
        first.leave(true);
        let mut second = workers.member(0, "2", "$share/g/t", Qos::ExactlyOnce).await;
        assert_eq!(second.take(9), [""; 0]);
    });
}

#[test]
fn a_member_that_does_not_read_holds_up_nobody() {
    on_one_and_three(async |workers| {
        let mut slow = workers.member(0, "slow", "$share/g/t", Qos::AtLeastOnce).await;
        let mut small = workers.connect(0, "small", true);
        workers.subscribe(&mut small, &[subscription("$share/g/t", Qos::AtLeastOnce)]).await;
        small.take(1);
        let mut quick =
            workers.member(on(&workers, 1), "quick", "$share/g/t", Qos::AtLeastOnce).await;
        let mut taken = Vec::new();
        for round in 0..30 {
            workers.publish(round * 10..(round + 1) * 10, Qos::AtLeastOnce).await;
            for _ in 0..4 {
                taken.extend(numbers(&quick.take_all()));
                workers.settle().await;
            }
        }
        assert_eq!(taken.len(), 300 - 8 - 1, "all but a window, and a Receive Maximum");
        assert!(taken.is_sorted());
        assert_eq!(small.take(1).len(), 1);
        assert_eq!(slow.take_all().len(), 8);
        slow.leave(false);
        small.leave(false);
        workers.settle().await;
        assert_eq!(quick.take_all().len(), 1);
    });
}

#[test]
fn large_messages_come_a_few_at_a_time_and_all_of_them() {
    on_one_and_three(async |workers| {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let mut slow = workers.member(0, "slow", "$share/g/t", qos).await;
            let mut quick = workers.member(on(&workers, 1), "quick", "$share/g/t", qos).await;
            workers.publish((0..20).map(|number| format!("{number:050}")), Qos::ExactlyOnce).await;
            let mut taken = Vec::new();
            for _ in 0..20 {
                taken.extend(numbers(&quick.take_all()));
                workers.settle().await;
            }
            assert_eq!(taken.len(), 18, "all but the two that the slow one has");
            taken.extend(numbers(&slow.take_all()));
            taken.sort_unstable();
            assert_eq!(taken, (0..20).collect::<Vec<_>>());
            slow.leave(false);
            quick.leave(false);
            workers.settle().await;
        }
    });
}

#[test]
fn nothing_retained_is_sent_and_a_group_begins_with_its_first_member() {
    on_one_and_three(async |workers| {
        let mut publisher = workers.0[0].open("p");
        let old = message("t", "old", Qos::AtLeastOnce);
        publisher.publish(&Publish { retain: true, ..old }).unwrap();
        workers.settle().await;
        let mut member = workers.member(on(&workers, 1), "1", "$share/g/t", Qos::AtLeastOnce).await;
        // Published before the group answers: it is for a plain subscription alone.
        assert_eq!(member.take_all(), [""; 0]);
        workers.publish(["new"], Qos::AtLeastOnce).await;
        assert_eq!(member.take_all(), ["new"]);
    });
}

#[test]
fn who_leaves_and_joins_in_one_go_has_a_seat() {
    on_one_and_three(async |workers| {
        let mut member = workers.member(0, "1", "$share/g/t", Qos::AtMostOnce).await;
        member.client.session.unsubscribe(2, &["$share/g/t"]);
        member.client.session.subscribe(3, &[subscription("$share/g/t", Qos::AtLeastOnce)]);
        member.client.session.unsubscribe(4, &["$share/g/t"]);
        member.client.session.subscribe(5, &[subscription("$share/g/t", Qos::ExactlyOnce)]);
        workers.settle().await;
        let mut out = Vec::new();
        drop(member.client.poll_once(Appetite::default(), &mut out));
        let tickets: Vec<_> =
            out.iter()
                .filter_map(|event| match event {
                    Event::Subscribed { ticket, reasons }
                    | Event::Unsubscribed { ticket, reasons } => Some((*ticket, reasons[0].0)),
                    _ => None,
                })
                .collect();
        assert_eq!(tickets, [(2, 0), (3, 1), (4, 0), (5, 2)]);
        member.take(9);
        workers.publish(0..3, Qos::ExactlyOnce).await;
        assert_eq!(numbers(&member.take_all()), [0, 1, 2]);
        assert_eq!((workers.groups(), workers.subscriptions()), (1, 1));
    });
}

#[test]
fn a_subscription_that_is_replaced_goes_on() {
    on_one_and_three(async |workers| {
        let mut member = workers.member(0, "1", "$share/g/t", Qos::AtMostOnce).await;
        workers.publish(0..3, Qos::AtLeastOnce).await;
        let again = subscription("$share/g/t", Qos::AtLeastOnce);
        assert_eq!(workers.subscribe(&mut member, &[again, again]).await, [ReasonCode(1); 2]);
        let qos: Vec<_> = received(&member.events(9)).iter().map(|m| m.qos).collect();
        assert_eq!(qos, [Qos::AtLeastOnce; 3]);
        assert_eq!(workers.subscriptions(), 1);
    });
}

#[test]
fn a_shared_subscription_counts_and_is_refused_like_others() {
    on_one_and_three(async |workers| {
        let mut member = workers.connect(0, "1", true);
        let filters: Vec<String> = (0..52).map(|n| format!("$share/g/{n}")).collect();
        let asked: Vec<_> = filters.iter().map(|f| subscription(f, Qos::AtMostOnce)).collect();
        let reasons = workers.subscribe(&mut member, &asked).await;
        assert_eq!(reasons[..50], [ReasonCode(0); 50]);
        assert_eq!(reasons[50..], [ReasonCode::QUOTA_EXCEEDED; 2]);
        let more = [subscription("t", Qos::AtMostOnce), subscription("$share//t", Qos::AtMostOnce)];
        assert_eq!(
            workers.subscribe(&mut member, &more).await,
            [ReasonCode::QUOTA_EXCEEDED, ReasonCode::TOPIC_FILTER_INVALID]
        );
        assert_eq!((workers.groups(), workers.subscriptions()), (50, 50));
        member.leave(false);
        workers.settle().await;
        assert_eq!((workers.groups(), workers.subscriptions()), (0, 0));
    });
}

#[test]
fn an_unreadable_topic_refuses_the_members_and_leaves_no_group() {
    on_one_and_three(async |workers| {
        let kafka = &workers.0[0].kafka;
        kafka.faults.borrow_mut().insert("messages".to_owned(), kafka_plane::Fault::NotAuthorized);
        let mut member = workers.connect(0, "1", true);
        let asked = [subscription("$share/g/t", Qos::AtMostOnce)];
        let reasons = workers.subscribe(&mut member, &asked).await;
        assert_eq!(reasons, [ReasonCode::NOT_AUTHORIZED]);
        assert_eq!((workers.groups(), workers.subscriptions()), (0, 0));
        kafka.faults.borrow_mut().clear();
        assert_eq!(workers.subscribe(&mut member, &asked).await, [ReasonCode(0)]);
    });
}
