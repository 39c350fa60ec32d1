use proptest::prelude::*;

use super::*;
use crate::pods::{ContainerFacts, EphemeralFacts};
use crate::record::{KindBy, SessionKind};

const HASH: &str = "cd8ab5ec9b8a79685746352413021fff";

fn at(second: u64) -> BootNanos {
    BootNanos(second * 1_000_000_000)
}

fn pod(uid: &str) -> PodFacts {
    PodFacts {
        uid: PodUid::new(uid),
        config_hash: None,
        namespace: "default".into(),
        name: "web".into(),
        containers: vec![ContainerFacts { name: "app".into(), image: Some("local/app:1".into()) }],
        init_containers: vec![ContainerFacts { name: "migrate".into(), image: None }],
        ephemeral_containers: Vec::new(),
        debug: None,
        ending: None,
        statuses: Vec::new(),
    }
}

fn with_session(mut pod: PodFacts) -> PodFacts {
    let session = EphemeralFacts { name: "dbg".into(), image: None, target: Some("app".into()) };
    pod.ephemeral_containers.push(session);
    pod
}

fn with_status(mut pod: PodFacts, name: &str, digit: char) -> PodFacts {
    let container_id = Some(format!("containerd://{}", container(digit)));
    let status = ContainerStatus {
        name: name.into(),
        container_id,
        image_id: None,
        restart_count: 0,
        state: None,
        last_state: None,
    };
    pod.statuses = vec![status];
    pod
}

fn container(digit: char) -> ContainerId {
    ContainerId::parse(&digit.to_string().repeat(64)).unwrap()
}

fn synced(pods: &[PodFacts]) -> PodIndex {
    let mut index = PodIndex::new();
    index.relist_start();
    for pod in pods {
        index.relist_apply(pod.clone());
    }
    index.relist_done(at(0));
    index
}

#[test]
fn roles_of_a_pods_containers() {
    let index = synced(&[with_session(pod("u1"))]);
    let role = |name: &str| index.role(&PodRef::new("u1"), name);
    assert_eq!(role("dbg"), Some(Role::Ephemeral { image: None, target: Some("app".into()) }));
    assert_eq!(role("app"), Some(Role::Ordinary { image: Some("local/app:1".into()), debug: None }));
    assert_eq!(role("migrate"), Some(Role::Init { image: None }));
    assert_eq!(role("other"), None);
    assert_eq!(index.role(&PodRef::new("u2"), "dbg"), None);
}

#[test]
fn the_session_of_a_copy_is_an_ordinary_container() {
    let debug = Some(DebugPod { kind: SessionKind::Copy, by: KindBy::Inferred });
    let mut copy = PodFacts { debug, ..pod("u1") };
    copy.containers.push(ContainerFacts { name: "debugger-8xzrl".into(), image: None });
    let index = synced(&[copy]);
    let role = |name: &str| index.role(&PodRef::new("u1"), name);
    assert_eq!(role("debugger-8xzrl"), Some(Role::Ordinary { image: None, debug }));
    assert_eq!(role("app"), Some(Role::Ordinary { image: Some("local/app:1".into()), debug: None }));
}

#[test]
fn static_pods_answer_to_their_config_hash() {
    let mirror = |uid: &str| PodFacts { config_hash: Some(HASH.into()), ..pod(uid) };
    let mut index = synced(&[mirror("u1")]);
    let found = |index: &PodIndex| index.pod(&PodRef::new(HASH)).map(|pod| pod.uid.to_string());
    assert_eq!(found(&index).as_deref(), Some("u1"));
    // The mirror pod was deleted and made anew: same hash, another UID.
    index.apply(mirror("u2"));
    index.delete(&PodUid::new("u1"), at(1));
    index.expire(at(5000));
    assert_eq!(found(&index).as_deref(), Some("u2"));
}

#[test]
fn container_ids_come_from_statuses() {
    let mut index = synced(&[with_status(pod("u1"), "app", 'a')]);
    let (found, name) = index.by_container_id(&container('a')).unwrap();
    assert_eq!((found.uid.as_str(), name), ("u1", "app"));
    index.apply(with_status(pod("u1"), "app", 'b'));
    assert!(index.by_container_id(&container('a')).is_none());
    assert!(index.by_container_id(&container('b')).is_some());
    assert!(index.status(&PodRef::new("u1"), "app").is_some());
}

#[test]
fn deleted_pods_stay_for_their_grace() {
    let mut index = synced(&[with_status(pod("u1"), "app", 'a')]);
    index.delete(&PodUid::new("u1"), at(100));
    index.expire(at(699));
    assert!(index.pod(&PodRef::new("u1")).is_some());
    index.expire(at(700));
    assert!(index.pod(&PodRef::new("u1")).is_none());
    assert!(index.by_container_id(&container('a')).is_none());
}

#[test]
fn deleted_pods_are_bounded_in_number() {
    let mut index = synced(&[]);
    for n in 0..=KEPT_DELETED {
        index.observe(PodEvent::Applied(Box::new(pod(&format!("u{n}")))), at(1));
        index.observe(PodEvent::Deleted(Box::new(pod(&format!("u{n}")))), at(1));
    }
    assert!(index.pod(&PodRef::new("u0")).is_none());
    assert!(index.pod(&PodRef::new("u1")).is_some());
    assert_eq!(index.pods.len(), KEPT_DELETED);
}

#[test]
fn a_deletion_brings_the_last_state() {
    let mut index = synced(&[pod("u1")]);
    let last = with_status(with_session(pod("u1")), "dbg", 'd');
    index.observe(PodEvent::Deleted(Box::new(last)), at(1));
    assert!(index.by_container_id(&container('d')).is_some());
    assert!(matches!(index.role(&PodRef::new("u1"), "dbg"), Some(Role::Ephemeral { .. })));
}

#[test]
fn a_relist_deletes_what_it_lacks_and_only_when_done() {
    let mut index = synced(&[pod("u1"), pod("u2")]);
    index.relist_start();
    index.relist_apply(pod("u2"));
    assert!(index.pods[&PodUid::new("u1")].deleted_at.is_none());
    index.relist_done(at(50));
    assert_eq!(index.pods[&PodUid::new("u1")].deleted_at, Some(at(50)));
    assert_eq!(index.pods[&PodUid::new("u2")].deleted_at, None);
}

#[test]
fn a_pod_that_comes_back_is_not_forgotten() {
    let mut index = synced(&[pod("u1")]);
    index.delete(&PodUid::new("u1"), at(1));
    index.apply(pod("u1"));
    index.expire(at(5000));
    assert!(index.pod(&PodRef::new("u1")).is_some());
    index.delete(&PodUid::new("u1"), at(5001));
    index.expire(at(5601));
    assert!(index.pod(&PodRef::new("u1")).is_none());
}

#[test]
fn a_stale_list_takes_no_session_away() {
    let mut index = synced(&[with_session(pod("u1"))]);
    index.relist_start();
    index.relist_apply(pod("u1"));
    index.relist_done(at(9));
    assert!(index.role(&PodRef::new("u1"), "dbg").is_some());
}

#[test]
fn synced_from_the_first_whole_list_until_the_api_is_lost() {
    let mut index = PodIndex::new();
    assert!(!index.synced());
    index.observe(PodEvent::RelistStarted, at(1));
    index.observe(PodEvent::Listed(Box::new(pod("u1"))), at(2));
    assert!(!index.synced());
    index.observe(PodEvent::RelistDone, at(3));
    assert_eq!(index.synced_since(), Some(at(3)));
    // A list without a loss in between is only a confirmation.
    index.observe(PodEvent::RelistStarted, at(4));
    index.observe(PodEvent::Listed(Box::new(pod("u1"))), at(4));
    index.observe(PodEvent::RelistDone, at(5));
    assert_eq!(index.synced_since(), Some(at(3)));
    index.observe(PodEvent::Lost, at(6));
    assert_eq!(index.synced_since(), None);
    assert!(index.pod(&PodRef::new("u1")).is_some());
}

#[test]
fn a_list_that_broke_off_deletes_nothing() {
    let mut index = synced(&[pod("u1")]);
    index.observe(PodEvent::RelistStarted, at(1));
    index.observe(PodEvent::Lost, at(2));
    index.observe(PodEvent::RelistDone, at(3));
    assert!(!index.synced());
    assert!(index.pods[&PodUid::new("u1")].deleted_at.is_none());
}

#[test]
fn the_generation_differs_after_each_change_only() {
    let mut index = synced(&[pod("u1")]);
    let before = index.generation();
    index.apply(pod("u1"));
    index.delete(&PodUid::new("u2"), at(1));
    index.expire(at(1));
    assert_eq!(index.generation(), before);
    index.apply(with_session(pod("u1")));
    let changed = index.generation();
    index.delete(&PodUid::new("u1"), at(2));
    let deleted = index.generation();
    index.lost();
    let lost = index.generation();
    index.lost();
    assert!(before < changed && changed < deleted && deleted < lost && lost == index.generation());
}

#[test]
fn an_unreadable_pod_is_not_taken_for_missing() {
    let (u1, u2) = (PodRef::new("u1"), PodRef::new("u2"));
    let mut index = synced(&[pod("u1")]);
    index.observe(PodEvent::Unread(Some(PodUid::new("u2"))), at(1));
    assert!(index.may_lack(&u2) && !index.may_lack(&u1));
    assert!(index.pod(&u2).is_none());
    assert_eq!(index.unread_count(), 1);
    // A later version of it can be read.
    index.observe(PodEvent::Applied(Box::new(pod("u2"))), at(2));
    assert!(!index.may_lack(&u2));
    // Read in part: its facts, then what is missing.
    index.observe(PodEvent::Applied(Box::new(with_session(pod("u2")))), at(3));
    index.observe(PodEvent::Unread(Some(PodUid::new("u2"))), at(3));
    assert!(index.may_lack(&u2) && index.pod(&u2).is_some());
    index.observe(PodEvent::Deleted(Box::new(with_session(pod("u2")))), at(4));
    assert!(!index.may_lack(&u2));
}

#[test]
fn a_list_does_not_lack_what_could_not_be_read() {
    let mut index = synced(&[pod("u1"), pod("u2"), pod("u3")]);
    index.observe(PodEvent::RelistStarted, at(1));
    index.observe(PodEvent::Unread(Some(PodUid::new("u1"))), at(1));
    index.observe(PodEvent::RelistDone, at(1));
    assert_eq!(index.pods[&PodUid::new("u1")].deleted_at, None);
    assert_eq!(index.pods[&PodUid::new("u2")].deleted_at, Some(at(1)));
    // One that does not say which it is may be any of those that seem to be missing.
    let mut index = synced(&[pod("u1"), pod("u2")]);
    index.observe(PodEvent::RelistStarted, at(1));
    index.observe(PodEvent::Listed(Box::new(pod("u2"))), at(1));
    index.observe(PodEvent::Unread(None), at(1));
    index.observe(PodEvent::RelistDone, at(1));
    assert_eq!(index.pods[&PodUid::new("u1")].deleted_at, None);
    assert!(index.may_lack(&PodRef::new("u9")) && !index.may_lack(&PodRef::new("u1")));
    // With the next list all is known again.
    index.observe(PodEvent::RelistStarted, at(2));
    index.observe(PodEvent::RelistDone, at(2));
    assert!(!index.may_lack(&PodRef::new("u9")));
    assert_eq!(index.unread_count(), 0);
    assert_eq!(index.pods[&PodUid::new("u1")].deleted_at, Some(at(2)));
}

/// A step of a history, on a handful of pods.
fn step() -> impl Strategy<Value = PodEvent> {
    let facts = (0..4u8, any::<bool>(), 0..3u8).prop_map(|(n, session, digit)| {
        let facts = with_status(pod(&format!("u{n}")), "app", char::from(b'a' + digit));
        Box::new(if session { with_session(facts) } else { facts })
    });
    prop_oneof![
        Just(PodEvent::RelistStarted),
        Just(PodEvent::RelistDone),
        Just(PodEvent::Lost),
        prop::option::of(0..4u8).prop_map(|n| PodEvent::Unread(n.map(|n| PodUid::new(format!("u{n}"))))),
        facts.clone().prop_map(PodEvent::Listed),
        facts.clone().prop_map(PodEvent::Applied),
        facts.prop_map(PodEvent::Deleted),
    ]
}

proptest! {
    #[test]
    fn no_history_leaves_a_dangling_name(steps in prop::collection::vec((step(), 0..400u64), 0..60)) {
        let mut index = PodIndex::new();
        let mut now = 0;
        for (event, wait) in steps {
            now += wait;
            index.observe(event, at(now));
            for (uid, _) in index.by_container.values() {
                prop_assert!(index.pods.contains_key(uid));
            }
            for entry in index.pods.values() {
                prop_assert!(entry.deleted_at.is_none_or(|since| at(now).since(since) < GRACE));
            }
        }
        // All pods deleted and all grace over: nothing is left.
        let uids: Vec<PodUid> = index.pods.keys().cloned().collect();
        for uid in &uids {
            index.delete(uid, at(now));
        }
        index.expire(at(now + 600));
        prop_assert!(index.pods.is_empty() && index.by_container.is_empty() && index.deleted.is_empty());
    }
}
