use super::*;

const WHO: Who<'_> = Who { worker: "0b7e", host: "PC-31", release: "v1.5.0" };

fn flag(content: &str) -> StopFlag {
    StopFlag::of_entry(b"STOP", "control", Some(content.as_bytes()))
}

fn reason(content: &[u8]) -> String {
    let flag = StopFlag::of_entry(b"STOP", "control", Some(content));
    assert_eq!(flag.scope, Scope::everything());
    flag.reason
}

fn stops(contents: &[&str]) -> Stops {
    judge(&contents.iter().map(|content| flag(content)).collect::<Vec<_>>(), WHO)
}

#[test]
fn any_spelling_of_the_flag_stops() {
    for name in ["STOP", "stop", "Stop", "STOP.toml", "stop.txt", "STOP."] {
        assert!(is_stop_entry(name.as_bytes()), "{name}");
    }
    for name in ["refs/heads/stop", "refs/tags/STOP", "refs/stop", "refs/heads/Stop"] {
        assert!(is_stop_ref(name), "{name}");
    }
}

#[test]
fn other_names_do_not_stop() {
    for name in ["STOPS", "STOP_", "NOSTOP", "stopper.toml", "STO", "", "rollout.toml"] {
        assert!(!is_stop_entry(name.as_bytes()), "{name}");
    }
    for name in ["refs/heads/control", "refs/heads/bob/stop", "refs/heads/stops", "HEAD"] {
        assert!(!is_stop_ref(name), "{name}");
    }
}

#[test]
fn a_flag_gives_its_reason() {
    assert_eq!(reason(b"reason = \"wrong prices\"\n"), "wrong prices");
    assert_eq!(flag("reason = \"wrong prices\"").to_string(), "wrong prices (STOP on branch control)");
}

#[test]
fn a_flag_that_is_empty_or_not_toml_still_stops() {
    assert_eq!(reason(b""), "no reason given");
    assert_eq!(reason(b"\n\n"), "no reason given");
    assert_eq!(reason(b"please stop!\nnow"), "please stop! (not TOML, so everything stops)");
    assert_eq!(reason(b"\xff\xfe"), "the flag cannot be read, so everything stops");
    assert_eq!(StopFlag::of_entry(b"STOP", "control", None).reason, "the flag cannot be read, so everything stops");
}

#[test]
fn whatever_is_not_understood_stops_everything_at_once() {
    for (content, named) in [
        ("reason = \"r\"\ncolour = \"red\"\n", "r (colour not understood, so everything stops)"),
        ("plugin = \"name-count\"\nplugins = \"x\"\n", "no reason given (plugins not understood, so everything stops)"),
        ("plugin = 5\n", "no reason given (plugin not understood, so everything stops)"),
        ("plugin = [\"a\", \"b\"]\n", "no reason given (plugin not understood, so everything stops)"),
        ("plugin = \"Name Count\"\n", "no reason given (plugin = \"Name Count\" not understood, so everything stops)"),
        ("worker = \"[ab]\"\n", "no reason given (worker = \"[ab]\" not understood, so everything stops)"),
        ("release = \"1.5\"\n", "no reason given (release = \"1.5\" not understood, so everything stops)"),
        ("when = \"later\"\n", "no reason given (when = \"later\" not understood, so everything stops)"),
        ("reason = 5\n", "no reason given (a reason that is no text but integer, so everything stops)"),
    ] {
        assert_eq!(reason(content.as_bytes()), named);
        assert_eq!(stops(&[content]).worker.expect("stopped").when, When::Now);
    }
}

#[test]
fn a_flag_with_a_plugin_stops_that_plugin_and_no_other() {
    let stops = stops(&["reason = \"r\"\nplugin = \"name-count\"\n"]);
    assert_eq!(stops.worker, None);
    let stop = stops.of_plugin("name-count").expect("stopped");
    assert_eq!(stop.reason, "r (STOP on branch control; stops plugin name-count)");
    assert_eq!(stops.of_plugin("match-person"), None);
}

#[test]
fn a_flag_with_workers_stops_those_by_id_or_machine_and_nobody_else() {
    assert!(stops(&["worker = \"pc-3*\"\n"]).worker.is_some());
    assert!(stops(&["worker = \"0b7?\"\n"]).worker.is_some());
    assert_eq!(stops(&["worker = \"pc-4*\"\n"]), Stops::default());
}

#[test]
fn a_flag_with_a_release_stops_the_workers_that_run_it() {
    assert!(stops(&["release = \"1.5.0\"\n"]).worker.is_some());
    assert!(stops(&["release = \"v1.5.0\"\n"]).worker.is_some());
    assert_eq!(stops(&["release = \"1.5.1\"\n"]), Stops::default());
}

#[test]
fn the_parts_of_one_flag_hold_together_and_several_flags_add_up() {
    assert_eq!(stops(&["plugin = \"a\"\nrelease = \"1.6.0\"\n"]), Stops::default());
    let one = stops(&["plugin = \"a\"\nworker = \"pc-31\"\n"]);
    assert!(one.worker.is_none() && one.of_plugin("a").is_some());
    let both = stops(&["plugin = \"a\"\n", "plugin = \"b\"\nwhen = \"after-job\"\n"]);
    assert_eq!(both.of_plugin("a").expect("stopped").when, When::Now);
    assert_eq!(both.of_plugin("b").expect("stopped").when, When::AfterJob);
    let twice = stops(&["plugin = \"a\"\nwhen = \"after-job\"\n", "plugin = \"a\"\n"]);
    assert_eq!(twice.of_plugin("a").expect("stopped").when, When::Now, "the sooner one counts");
    let all = stops(&["plugin = \"a\"\nwhen = \"after-job\"\n", ""]);
    assert_eq!(all.of_plugin("a").expect("stopped").when, When::Now);
}

#[test]
fn a_stop_after_the_job_in_hand_is_one_for_everything_too() {
    let stop = stops(&["when = \"after-job\"\n"]).worker.expect("stopped");
    assert_eq!(stop.when, When::AfterJob);
    assert_eq!(stop.reason, "no reason given (STOP on branch control; stops everything after the job in hand)");
}

#[test]
fn a_release_is_held_back_by_what_stops_the_worker_and_not_by_what_a_newer_release_ends() {
    let holds = |content: &str| holds_releases(&[flag(content)], WHO);
    assert!(holds("") && holds("when = \"after-job\"\n") && holds("worker = \"pc-31\"\n"));
    assert!(!holds("worker = \"pc-32\"\n") && !holds("plugin = \"a\"\n") && !holds("release = \"1.5.0\"\n"));
}

#[test]
fn a_flag_is_remembered_with_its_scope_and_one_without_stops_everything() {
    let written = flag("plugin = \"a\"\nworker = \"pc*\"\nrelease = \"v1.5.0\"\nwhen = \"after-job\"\n");
    let text = toml::to_string(&written).expect("plain data");
    assert_eq!(toml::from_str::<StopFlag>(&text).expect("readable"), written);
    let old = toml::from_str::<StopFlag>("place = \"p\"\nreason = \"r\"\n").expect("readable");
    assert_eq!(old.scope, Scope::everything());
}

#[test]
fn a_release_that_only_the_job_in_hand_still_uses_is_stopped_too() {
    let flags = [flag("release = \"1.4.0\"\nreason = \"wrong prices\"")];
    assert_eq!(judge(&flags, WHO).worker, None);
    let before = Who { release: "v1.4.0", ..WHO };
    assert_eq!(judge_all(&flags, &[WHO, before]), judge(&flags, before));
    assert!(judge(&flags, before).worker.is_some());
}
