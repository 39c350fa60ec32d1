use proptest::prelude::*;

use super::super::samples::{
    container_meta, id, pod, pod_before, pod_ref, sandbox, seconds, synced, with_status,
};
use super::*;
use crate::pods::{ContainerFacts, DebugPod};

const EVERYTHING: Policy = Policy { all_containers: true, processes: 0, with_args: false };

/// Asks at second `now` about a container first seen at second 10.
fn ask(meta: Option<&ContainerMeta>, index: &PodIndex, now: u64) -> Verdict {
    ask_by(meta, index, Policy::default(), now)
}

fn ask_by(meta: Option<&ContainerMeta>, index: &PodIndex, policy: Policy, now: u64) -> Verdict {
    let (id, pod) = (id(), pod_ref());
    decide(question(&id, &pod, meta), index, policy, seconds(now))
}

/// About a container first seen at second 10, with something in it.
fn question<'a>(id: &'a ContainerId, pod: &'a PodRef, meta: Option<&'a ContainerMeta>) -> Question<'a> {
    let (first_seen, made) = (seconds(10), seconds(10));
    let entered = Some(first_seen);
    Question { id, pod: Some(pod), runtime: meta, first_seen, entered, elsewhere: false, made }
}

/// Asks late about a container that was made before the list of second 1, when no debugtrail ran.
fn ask_of_before(index: &PodIndex, policy: Policy) -> Verdict {
    let (id, pod) = (id(), pod_ref());
    let made = BootNanos(5);
    let (first_seen, entered) = (seconds(1), Some(seconds(1)));
    let question = Question { first_seen, entered, made, ..question(&id, &pod, None) };
    assert_eq!(decide(question, index, policy, seconds(9)), Verdict::Undecided);
    decide(question, index, policy, seconds(12))
}

#[test]
fn an_earlier_container_is_no_session_of_a_pod_without_one() {
    let is_none = |pod: PodFacts| ask_of_before(&synced([pod]), Policy::default()) == Verdict::Other;
    let mut other = with_status(pod(), "dbg");
    other.statuses[0].container_id = Some(format!("containerd://{:064x}", 9));
    assert!(is_none(pod_before()) && is_none(other));
    // The ephemeral container may be it, the pod as a whole may be for debugging, or all are wanted.
    let debug = Some(DebugPod { kind: SessionKind::NodeDebug, by: KindBy::Inferred });
    assert!(!is_none(pod()) && !is_none(PodFacts { debug, ..pod_before() }));
    assert_ne!(ask_of_before(&synced([pod_before()]), EVERYTHING), Verdict::Other);
}

#[test]
fn a_pod_not_listed_since_rules_out_no_session() {
    let mut index = synced([pod_before()]);
    index.delete(&pod().uid, seconds(2));
    assert!(matches!(ask_of_before(&index, Policy::default()), Verdict::Unresolved(_)));
    // Made after the list: the watch may be behind.
    assert!(matches!(ask(None, &synced([pod_before()]), 30), Verdict::Unresolved(_)));
}

fn named(name: &str) -> ContainerMeta {
    container_meta(name)
}

#[test]
fn a_name_among_the_ephemeral_containers_is_a_session() {
    let verdict = ask(Some(&named("dbg")), &synced([pod()]), 10);
    let expected = Naming {
        namespace: Some("default".into()),
        pod_name: Some("web".into()),
        pod_uid: Some(pod().uid),
        container_name: Some("dbg".into()),
        scheme: Some("containerd".into()),
        image: Some("busybox:1".into()),
        target: Some("app".into()),
        kind: Some(SessionKind::Ephemeral),
        kind_by: Some(KindBy::Declared),
        named_by: Some(NamedBy::Runtime),
    };
    assert_eq!(verdict, Verdict::Session(expected));
}

#[test]
fn a_pause_container_needs_no_index() {
    let sandbox = sandbox().map(|facts| facts.meta);
    assert_eq!(ask(sandbox.as_ref(), &PodIndex::new(), 10), Verdict::Other);
    assert_eq!(ask_by(sandbox.as_ref(), &synced([pod()]), EVERYTHING, 10), Verdict::Other);
}

#[test]
fn ordinary_containers_are_forgotten_unless_wanted() {
    for name in ["app", "init"] {
        assert_eq!(ask(Some(&named(name)), &synced([pod()]), 10), Verdict::Other, "{name}");
        let Verdict::Session(naming) = ask_by(Some(&named(name)), &synced([pod()]), EVERYTHING, 10) else {
            panic!("{name} is to be recorded");
        };
        assert_eq!((naming.kind, naming.target), (Some(SessionKind::Container), None));
    }
}

#[test]
fn a_container_of_a_debug_pod_is_a_session() {
    let debug = Some(DebugPod { kind: SessionKind::NodeDebug, by: KindBy::Inferred });
    let verdict = ask(Some(&named("app")), &synced([PodFacts { debug, ..pod_before() }]), 10);
    let Verdict::Session(naming) = verdict else { panic!("{verdict:?}") };
    assert_eq!((naming.kind, naming.kind_by), (Some(SessionKind::NodeDebug), Some(KindBy::Inferred)));
}

#[test]
fn where_the_runtime_is_silent_a_status_names_it() {
    let Verdict::Session(naming) = ask(None, &synced([with_status(pod(), "dbg")]), 10) else {
        panic!("the status has its id");
    };
    assert_eq!(naming.container_name.as_deref(), Some("dbg"));
    assert_eq!(naming.named_by, Some(NamedBy::Api));
    assert_eq!(naming.scheme.as_deref(), Some("containerd"));
    assert_eq!(ask(None, &synced([with_status(pod(), "app")]), 10), Verdict::Other);
}

#[test]
fn a_spec_that_lacks_the_name_is_awaited_then_unresolved() {
    let index = synced([pod_before()]);
    assert_eq!(ask(Some(&named("dbg")), &index, 10), Verdict::Undecided);
    assert_eq!(ask(Some(&named("dbg")), &index, 19), Verdict::Undecided);
    let Verdict::Unresolved(naming) = ask(Some(&named("dbg")), &index, 20) else {
        panic!("ten seconds are over");
    };
    assert_eq!(naming.container_name.as_deref(), Some("dbg"));
    assert_eq!((naming.kind, naming.kind_by), (None, None));
}

#[test]
fn never_by_elimination() {
    // One ephemeral container without a status, one container without a name: it may still be another's.
    assert_eq!(ask(None, &synced([with_status(pod(), "app")]), 10), Verdict::Other);
    assert_eq!(ask(None, &synced([pod()]), 10), Verdict::Undecided);
}

#[test]
fn without_a_synced_index_it_waits_for_ever() {
    let mut index = synced([]);
    index.lost();
    for index in [PodIndex::new(), index] {
        assert_eq!(ask(None, &index, 1_000_000), Verdict::Undecided);
        assert_eq!(ask(Some(&named("dbg")), &index, 1_000_000), Verdict::Undecided);
    }
}

#[test]
fn the_deadline_begins_when_the_index_is_synced() {
    let mut index = PodIndex::new();
    index.observe(crate::pods::PodEvent::RelistStarted, seconds(100));
    index.observe(crate::pods::PodEvent::RelistDone, seconds(100));
    assert_eq!(ask(None, &index, 109), Verdict::Undecided);
    assert!(matches!(ask(None, &index, 110), Verdict::Unresolved(_)));
}

#[test]
fn a_pod_missing_from_an_unbroken_watch_is_foreign() {
    assert_eq!(ask(Some(&named("app")), &synced([]), 99), Verdict::Undecided);
    assert_eq!(ask(Some(&named("app")), &synced([]), 100), Verdict::Foreign);
    // A watch that began after it may have missed its pod.
    let mut late = PodIndex::new();
    late.observe(crate::pods::PodEvent::RelistStarted, seconds(11));
    late.observe(crate::pods::PodEvent::RelistDone, seconds(11));
    assert!(matches!(ask(Some(&named("app")), &late, 100), Verdict::Unresolved(_)));
}

/// Whoever may write to the hierarchy makes cgroups under any name.
#[test]
fn a_cgroup_that_nothing_entered_is_no_container() {
    let (id, pod_ref, index) = (id(), pod_ref(), synced([pod()]));
    let empty = Question { entered: None, ..question(&id, &pod_ref, None) };
    assert_eq!(decide(empty, &index, Policy::default(), seconds(1000)), Verdict::Undecided);
    // Its time begins when something is in it.
    let entered = Question { entered: Some(seconds(900)), ..empty };
    assert_eq!(decide(entered, &index, Policy::default(), seconds(909)), Verdict::Undecided);
    assert!(matches!(decide(entered, &index, Policy::default(), seconds(910)), Verdict::Unresolved(_)));
    // Of which the runtime says that it is one needs nothing in it.
    let named = named("dbg");
    let by_runtime = Question { runtime: Some(&named), ..empty };
    assert!(matches!(decide(by_runtime, &index, Policy::default(), seconds(11)), Verdict::Session(_)));
}

#[test]
fn a_container_elsewhere_than_the_others_is_none() {
    let (id, pod_ref) = (id(), pod_ref());
    let elsewhere = Question { elsewhere: true, ..question(&id, &pod_ref, None) };
    let ask = |index: &PodIndex| decide(elsewhere, index, Policy::default(), seconds(20));
    assert_eq!(ask(&synced([pod()])), Verdict::Other);
    // Of a pod that is not known it takes no name.
    assert!(matches!(ask(&synced([])), Verdict::Unresolved(Naming { pod_name: None, .. })));
    // Unless the API says that it runs: the id of one that is over is known to many.
    let with_state = |state| {
        let mut facts = with_status(pod(), "dbg");
        facts.statuses[0].state = Some(state);
        ask(&synced([facts]))
    };
    assert!(matches!(with_state(ContainerState::Running { started_at: None }), Verdict::Session(_)));
    let waiting = ContainerState::Waiting { reason: None, message: None };
    assert_eq!(with_state(waiting), Verdict::Other);
}

#[test]
fn outside_of_all_pods_only_the_runtime_makes_a_session() {
    let (id, pod_ref, index) = (id(), pod_ref(), synced([pod()]));
    let bare = Question { pod: None, ..question(&id, &pod_ref, None) };
    assert_eq!(decide(bare, &index, Policy::default(), seconds(14)), Verdict::Undecided);
    assert_eq!(decide(bare, &index, Policy::default(), seconds(15)), Verdict::Other);
    // The API may name it yet.
    assert_eq!(decide(bare, &PodIndex::new(), Policy::default(), seconds(900)), Verdict::Undecided);
    let named = named("dbg");
    let Verdict::Session(naming) =
        decide(Question { runtime: Some(&named), ..bare }, &index, Policy::default(), seconds(10))
    else {
        panic!("the runtime names pod and container");
    };
    assert_eq!(naming.pod_name.as_deref(), Some("web"));
}

/// The path names another pod than the runtime, which made the container.
#[test]
fn the_runtimes_pod_wins_over_the_paths() {
    let (id, other, index) = (id(), PodRef::new("11111111-4f5d-4a7e-8b6e-6b2a3f1c0d9e"), synced([pod()]));
    let named = named("dbg");
    let Verdict::Session(naming) =
        decide(question(&id, &other, Some(&named)), &index, Policy::default(), seconds(10))
    else {
        panic!("the runtime names pod and container");
    };
    assert_eq!(naming.pod_uid, Some(pod().uid));
}

#[test]
fn an_unreadable_pod_is_not_foreign() {
    for uid in [None, pod_ref().uid()] {
        let mut index = synced([]);
        index.observe(crate::pods::PodEvent::Unread(uid), seconds(2));
        assert_eq!(ask(Some(&named("dbg")), &index, 19), Verdict::Undecided);
        let Verdict::Unresolved(naming) = ask(Some(&named("dbg")), &index, 100) else {
            panic!("it is recorded with what the runtime knows");
        };
        assert_eq!(naming.container_name.as_deref(), Some("dbg"));
    }
    // Of a pod that was read in part, what it seems to lack says nothing.
    let mut index = synced([pod_before()]);
    index.observe(crate::pods::PodEvent::Unread(Some(pod().uid)), seconds(1));
    assert!(matches!(ask_of_before(&index, Policy::default()), Verdict::Unresolved(_)));
}

#[test]
fn an_index_that_lost_the_api_still_knows_what_it_knew() {
    let mut index = synced([pod()]);
    index.lost();
    assert!(matches!(ask(Some(&named("dbg")), &index, 10), Verdict::Session(_)));
    assert_eq!(ask(Some(&named("app")), &index, 10), Verdict::Other);
}

#[test]
fn a_deleted_pod_still_names_its_session() {
    let mut index = synced([pod()]);
    index.delete(&pod().uid, seconds(15));
    assert!(matches!(ask(Some(&named("dbg")), &index, 20), Verdict::Session(_)));
}

proptest! {
    /// Whatever the pod's spec is: a name is a session exactly if the spec has it among the ephemeral ones.
    #[test]
    fn only_the_spec_makes_a_session(
        names in prop::collection::hash_set("[a-c]{1,2}", 0..6),
        split in 0usize..6,
        asked in "[a-c]{1,2}",
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let (ephemeral, ordinary) = names.split_at(split.min(names.len()));
        let facts = PodFacts {
            ephemeral_containers: ephemeral
                .iter()
                .map(|name| crate::pods::EphemeralFacts { name: name.clone(), image: None, target: None })
                .collect(),
            containers: ordinary.iter().map(|name| ContainerFacts { name: name.clone(), image: None }).collect(),
            init_containers: Vec::new(),
            ..pod()
        };
        let verdict = ask(Some(&named(&asked)), &synced([facts]), 10);
        prop_assert_eq!(matches!(verdict, Verdict::Session(_)), ephemeral.contains(&asked));
        prop_assert_eq!(verdict == Verdict::Other, ordinary.contains(&asked));
        prop_assert_eq!(verdict == Verdict::Undecided, !names.contains(&asked));
    }
}
