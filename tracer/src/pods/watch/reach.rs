//! What the log says of the watch, each thing once.

use std::collections::HashMap;

use crate::pods::Unread;

/// Of so many pods that could not be read it is remembered that this was logged.
const REMEMBERED: usize = 1024;

/// Whether the API answers, and what of it could not be read.
#[derive(Debug, Default)]
pub(super) struct Reach {
    stands: Stands,
    /// By pod, the version of which it was logged.
    unread: HashMap<String, Option<String>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stands {
    #[default]
    Unknown,
    Up,
    Down,
}

impl Reach {
    /// The API is out of reach.
    pub(super) fn lost(&mut self, error: &str) {
        if self.stands != Stands::Down {
            tracing::warn!("lost the API server ({error}); recording goes on, names come from the runtime");
        }
        self.stands = Stands::Down;
    }

    /// The pods were listed.
    pub(super) fn back(&mut self) {
        match self.stands {
            Stands::Down => tracing::info!("the API server is back; pods listed anew"),
            Stands::Unknown => tracing::info!("pods of this node listed"),
            Stands::Up => {}
        }
        self.stands = Stands::Up;
    }

    /// A pod could not be read, or not all of it.
    pub(super) fn unread(&mut self, unread: &Unread) {
        if self.is_news(unread) {
            tracing::warn!("{}", words(unread));
        }
    }

    fn is_news(&mut self, unread: &Unread) -> bool {
        let pod = unread.uid.as_ref().map(ToString::to_string).unwrap_or_default();
        if self.unread.get(&pod) == Some(&unread.version) {
            return false;
        }
        if self.unread.len() >= REMEMBERED {
            self.unread.clear();
        }
        self.unread.insert(pod, unread.version.clone());
        true
    }
}

/// One line, whatever the object holds.
fn words(unread: &Unread) -> String {
    let which = match (&unread.namespace, &unread.name) {
        (Some(namespace), Some(name)) => format!("pod {namespace}/{name}"),
        _ => "a pod without a name".to_owned(),
    };
    let uid = unread.uid.as_ref().map(|uid| format!(" (UID {uid})")).unwrap_or_default();
    let faults = unread.faults.join(", ");
    let line = format!(
        "{which}{uid} can't be read as a whole: {faults}; its sessions are recorded with what the runtime knows"
    );
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PodUid;

    fn unread(uid: Option<&str>, version: &str) -> Unread {
        Unread {
            uid: uid.map(PodUid::new),
            namespace: Some("default".into()),
            name: Some("web\nx".into()),
            version: Some(version.into()),
            faults: vec!["spec is no object".into()],
        }
    }

    #[test]
    fn an_unreadable_pod_is_logged_once_for_each_version() {
        let mut reach = Reach::default();
        assert!(reach.is_news(&unread(Some("u1"), "1")));
        assert!(!reach.is_news(&unread(Some("u1"), "1")));
        assert!(reach.is_news(&unread(Some("u2"), "1")) && reach.is_news(&unread(None, "1")));
        assert!(reach.is_news(&unread(Some("u1"), "2")));
        for n in 0..3 * REMEMBERED {
            reach.is_news(&unread(Some(&n.to_string()), "1"));
        }
        assert!(reach.unread.len() <= REMEMBERED);
    }

    #[test]
    fn the_line_is_one() {
        assert_eq!(
            words(&unread(Some("u1"), "1")),
            "pod default/web\u{fffd}x (UID u1) can't be read as a whole: spec is no object; its sessions are recorded \
             with what the runtime knows"
        );
        assert!(words(&Unread::default()).starts_with("a pod without a name can't be read"));
    }
}
