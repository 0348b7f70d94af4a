//! What jobs may ask of workers: read from the query of a hand-in, and checked wherever it comes from.

use axum::http::Uri;
use nightshift_manifest::requires::{check_tag, megabytes};
use nightshift_rules::gates;
use nightshift_wire::{HandIn, Requirements};

use super::body::query;
use crate::refused::Refused;

/// Reads the query of a hand-in, in which `tag` may stand several times.
pub(super) fn hand_in(uri: &Uri) -> Result<HandIn, Refused> {
    let is_tag = |part: &&str| part.split('=').next() == Some("tag");
    let (tags, rest): (Vec<&str>, Vec<&str>) = uri.query().unwrap_or_default().split('&').partition(is_tag);
    let part = |parts: Vec<&str>| {
        let unreadable = |_| Refused::bad_request(format!("reading the query of {}: it cannot be read", uri.path()));
        format!("{}?{}", uri.path(), parts.join("&")).parse::<Uri>().map_err(unreadable)
    };
    let tags: Vec<(String, String)> = query(&part(tags)?)?;
    let asked: HandIn = query(&part(rest)?)?;
    Ok(HandIn { tags: tags.into_iter().map(|(_, tag)| tag).collect(), ..asked })
}

/// What a hand-in asks of workers itself; `None` when it leaves all of that to the plugin.
pub(super) fn asked(hand_in: &HandIn) -> Result<Option<Requirements>, String> {
    let amount = |name: &str, text: &Option<String>| match text {
        None => Ok(0),
        Some(text) => megabytes(text).map_err(|problem| format!("{name}: {problem}")),
    };
    let asked = Requirements {
        memory_mb: amount("memory", &hand_in.memory)?,
        disk_mb: amount("disk", &hand_in.disk)?,
        tags: hand_in.tags.iter().cloned().collect(),
        release: hand_in.min_release.clone(),
    };
    check(&asked)?;
    Ok(Some(asked).filter(|asked| *asked != Requirements::default()))
}

/// What the jobs of a batch require: each part that was asked for, the plugin's where none was.
pub(super) fn over(plugin: &Requirements, asked: Option<&Requirements>) -> Requirements {
    let Some(asked) = asked else { return plugin.clone() };
    Requirements {
        memory_mb: if asked.memory_mb > 0 { asked.memory_mb } else { plugin.memory_mb },
        disk_mb: if asked.disk_mb > 0 { asked.disk_mb } else { plugin.disk_mb },
        tags: if asked.tags.is_empty() { plugin.tags.clone() } else { asked.tags.clone() },
        release: asked.release.clone().or_else(|| plugin.release.clone()),
    }
}

/// Refuses what no worker could ever meet; the error says what to write.
pub(super) fn check(asked: &Requirements) -> Result<(), String> {
    if let Some(release) = asked.release.as_deref().filter(|release| gates::version(release).is_none()) {
        return Err(format!("{release:?} is no release; write it as in 1.4.0"));
    }
    asked.tags.iter().try_for_each(|tag| check_tag(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> HandIn {
        hand_in(&format!("/v1/batches?{text}").parse().expect("a path")).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    #[test]
    fn a_tag_may_stand_several_times_and_everything_else_once() {
        let asked = read("plugin=count&tag=gpu&priority=3&tag=floor%3A3");
        assert_eq!(asked.tags, ["gpu", "floor:3"]);
        assert_eq!((&*asked.plugin, asked.priority), ("count", Some(3)));
        assert_eq!(read("plugin=count").tags, [""; 0]);
        for text in ["plugin=a&plugin=b", "plugin=a&tags=gpu", ""] {
            assert!(hand_in(&format!("/v1/batches?{text}").parse().expect("a path")).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_stands_in_place_of_the_plugins_and_the_rest_stays() {
        let plugin = Requirements {
            memory_mb: 512,
            disk_mb: 1_000,
            tags: ["gpu".to_owned()].into(),
            release: Some("1.2.0".to_owned()),
        };
        let asked = asked(&read("plugin=count&memory=2GB&tag=big&tag=big")).expect("good").expect("something");
        let both = over(&plugin, Some(&asked));
        assert_eq!((both.memory_mb, both.disk_mb), (2_000, 1_000));
        assert_eq!((both.tags, both.release.as_deref()), (["big".to_owned()].into(), Some("1.2.0")));
        assert_eq!(over(&plugin, None), plugin);
    }

    #[test]
    fn requirements_that_cannot_be_read_are_refused_with_what_to_write() {
        for (text, said) in [
            ("memory=lots", "memory: \"lots\" is no amount"),
            ("disk=1", "disk: \"1\" is no amount"),
            ("tag=GPU", "\"GPU\" is no tag"),
            ("min_release=newest", "\"newest\" is no release; write it as in 1.4.0"),
            ("min_release=1.4.0-rc1", "\"1.4.0-rc1\" is no release; write it as in 1.4.0"),
        ] {
            let problem = asked(&read(&format!("plugin=count&{text}"))).expect_err(text);
            assert!(problem.contains(said), "{problem}");
        }
    }
}
