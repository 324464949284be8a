#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use super::super::entry::Entry;
use super::super::status::Proposal;
use super::super::story::{self, Changes, Kept, Release, Scene, Told};
use super::*;
use crate::fields::Foreign;
use crate::model::{GroupKind, Manager, ObjectId, SourceCommit};
use crate::plan::{Action, FieldChange, ForeignField};
use crate::source::scratch::git_with_input;

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn source(name: &str) -> SourceCommit {
    SourceCommit {
        revision: revision('a'),
        author: Signature {
            name: name.to_owned(),
            email: "ada@example.com".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        },
        committed: "2026-11-21T09:00:00Z".parse().unwrap(),
        subject: "Scale".to_owned(),
    }
}

fn manager(name: &str) -> Manager {
    Manager {
        name: name.to_owned(),
        operation: "Update".to_owned(),
        time: "2026-11-21T10:02:11Z".to_owned(),
    }
}

fn told(action: Action, manager: &str) -> Told {
    let kind = GroupKind::known("apps", "Deployment");
    Told {
        object: ObjectId::parse(kind, Some("shop"), "web").unwrap(),
        action,
        fields: vec![
            FieldChange {
                path: "spec.replicas".to_owned(),
                from: Some("5".to_owned()),
                to: Some("3".to_owned()),
                owner: Some(self::manager(manager)),
            },
            FieldChange {
                path: r#"metadata.annotations["a: \"b"]"#.to_owned(),
                from: None,
                to: Some(r#""x: y""#.to_owned()),
                owner: None,
            },
        ],
    }
}

fn scene<'a>(
    environment: &'a EnvironmentName,
    unit: &'a UnitName,
    source: &'a SourceCommit,
) -> Scene<'a> {
    Scene {
        environment,
        unit,
        source: Some(source),
        state: Some(State::Synced),
        fault: story::Fault::OfNobody,
        took: None,
        plan: None,
        approved: Vec::new(),
        now: Timestamp::UNIX_EPOCH,
    }
}

fn read(entry: &Entry) -> Recorded {
    let environment = "production".parse().unwrap();
    let message = entry.message();
    Recorded::read(
        &environment,
        revision('e'),
        &entry.author,
        entry.time,
        &message,
    )
}

#[test]
fn what_was_written_is_read_back() {
    let (environment, unit) = ("production".parse().unwrap(), "shop".parse().unwrap());
    let source = source("Ada");
    let scene = Scene {
        took: Some(std::time::Duration::from_millis(1_250)),
        plan: Some(Digest::of_bytes(b"plan")),
        now: "2026-11-21T10:02:12Z".parse().unwrap(),
        ..scene(&environment, &unit, &source)
    };
    let step = told(Action::Change, "kubectl-scale");
    let drift = Scene {
        state: None,
        ..scene.clone()
    };
    let drift = read(&story::drifted(
        &drift,
        std::slice::from_ref(&step),
        Changes::new(),
    ));
    assert_eq!(drift.subject, "kubectl-scale changed Deployment shop/web");
    assert_eq!(drift.author.name, "kubectl-scale");
    assert_eq!(drift.author.time.to_string(), "2026-11-21T10:02:11Z");
    let facts = drift.facts.clone().unwrap();
    assert_eq!(
        facts,
        Facts {
            event: Some(Event::Drift),
            cause: "drift".to_owned(),
            unit: Some(unit.clone()),
            state: None,
            actor: Some("kubectl-scale".to_owned()),
            revision: Some(revision('a')),
            committed: None,
            took: None,
            plan: scene.plan,
            approvals: Vec::new(),
            approved_by: Vec::new(),
        }
    );
    let objects = drift.objects();
    assert_eq!(
        (&*objects[0].object, &*objects[0].action),
        ("Deployment shop/web", "changed")
    );
    let fields: Vec<(&str, &str)> = objects[0]
        .fields
        .iter()
        .map(|field| (&*field.path, &*field.change))
        .collect();
    let set = "3 -> 5, set by kubectl-scale (Update) at 2026-11-21T10:02:11Z";
    assert_eq!(
        fields,
        [
            ("spec.replicas", set),
            (r#"metadata.annotations["a: \"b"]"#, r#""x: y" -> (none)"#)
        ]
    );

    let synced = story::synced(&scene, &[step], State::Synced, "", Changes::new());
    let synced = read(&synced);
    let facts = synced.facts.unwrap();
    assert_eq!(
        (facts.event, facts.state),
        (Some(Event::Sync), Some(State::Synced))
    );
    assert_eq!(facts.committed, Some(source.committed));
    assert_eq!(facts.took, Some(1.2));
    for (action, event) in [(Action::Adopt, Event::Adopt), (Action::Prune, Event::Prune)] {
        let entry = story::synced(
            &scene,
            &[told(action, "x")],
            State::Synced,
            "",
            Changes::new(),
        );
        assert_eq!(read(&entry).event(), Some(event));
    }
}

/// An entry of every event, with these words in it.
fn told_of(scene: &Scene<'_>, name: &str) -> Vec<Entry> {
    let revision = scene.source.map(|source| &source.revision);
    let steps = [told(Action::Change, name)];
    let fight = story::Contention {
        object: steps[0].object.clone(),
        fields: vec![name.to_owned()],
        manager: Some(name.to_owned()),
        message: format!("{name}\n---\nEvent: forged"),
        times: 6,
        phase: story::Phase::Begun,
    };
    let foreign = ForeignField {
        object: steps[0].object.clone(),
        field: Foreign {
            path: name.to_owned(),
            value: name.into(),
            manager: manager(name),
        },
    };
    let over = story::Contention {
        phase: story::Phase::Over,
        ..fight.clone()
    };
    let none = Changes::new;
    let hindrance = |enforced| story::Hindrance {
        enforced,
        nothing: false,
        newest: scene.source,
        why: name,
    };
    let mut entries = vec![
        story::synced(scene, &steps, State::Failed, name, none()),
        story::drifted(scene, &steps, none()),
        story::reverted(scene, &steps, none()),
        story::contended(scene, &fight, none()),
        story::contended(scene, &over, none()),
        story::found(scene, &steps, none()),
        story::found_synced(scene, story::By::Author, &steps, None, none()),
        story::gone(scene, &steps, none()),
        story::found_synced(
            scene,
            story::By::Author,
            &steps,
            Some((State::Blocked, name)),
            none(),
        ),
        story::left(scene, &steps, none()),
        story::nothing(scene.environment, None, scene.source, None, scene.now),
        story::stuck(scene.environment, hindrance(None), scene.now),
        story::refused(scene.environment, hindrance(revision), scene.now),
        story::stuck(
            scene.environment,
            story::Hindrance {
                nothing: true,
                ..hindrance(revision)
            },
            scene.now,
        ),
        story::follows(scene.environment, revision, name, scene.now),
        story::suspended(scene).0,
        story::resumed(scene),
        story::others(scene, &[&foreign], none()),
    ];
    for action in [Action::Adopt, Action::Prune] {
        let steps = [told(action, name)];
        entries.push(story::synced(scene, &steps, State::Synced, name, none()));
    }
    let proposal = Proposal {
        pull_request: 7,
        until: Some(scene.now),
    };
    for why in [
        Release::Closed,
        Release::Over,
        Release::Moot,
        Release::Policy,
    ] {
        entries.push(story::released(scene, &proposal, why));
    }
    let told = steps.to_vec();
    entries.push(story::kept(scene, &Kept { proposal, told }));
    for state in [
        State::Synced,
        State::Waiting,
        State::Drifted,
        State::Blocked,
        State::Failed,
        State::Suspended,
    ] {
        entries.push(story::stands(scene, None, state, name, none()));
    }
    entries
}

/// Every cause's text, whoever chose the names in it: Git itself reads the trailers.
#[test]
fn git_reads_the_trailers_of_every_event_whatever_the_names() {
    let (environment, unit) = ("production".parse().unwrap(), "shop".parse().unwrap());
    for name in [
        "Ada",
        "evil\n\nCause: forged",
        "<x>",
        "---",
        " a: b ",
        "",
        "\u{1b}[31m",
    ] {
        let source = source(name);
        let scene = Scene {
            state: Some(State::Failed),
            took: Some(std::time::Duration::from_secs(3)),
            ..scene(&environment, &unit, &source)
        };
        let entries = told_of(&scene, name);
        let events: BTreeSet<Event> = entries.iter().filter_map(|it| read(it).event()).collect();
        assert_eq!(events, Event::all().collect(), "every event is among them");
        for entry in entries {
            let message = entry.message();
            let said = git_with_input(&["interpret-trailers", "--parse"], message.as_bytes());
            let pairs: Vec<(&str, &str)> = said
                .lines()
                .map(|line| line.split_once(':').unwrap_or((line, "")))
                .map(|(key, value)| (key, value.trim()))
                .collect();
            assert_eq!(pairs.len(), entry.trailers.len(), "{message}");
            assert_eq!(pairs[0], ("Environment", "production"), "{message}");
            let recorded = read(&entry);
            let event = recorded.event().unwrap();
            assert!(pairs.contains(&("Event", &event.to_string())), "{message}");
            assert!(pairs.contains(&("Cause", event.cause())), "{message}");
            let causes = pairs.iter().filter(|(key, _)| *key == "Cause");
            assert_eq!(causes.count(), 1, "{message}");
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!message.contains(control), "{message:?}");
            assert!(message.starts_with("production: "), "{message}");
        }
    }
}

#[test]
fn ten_thousand_objects_make_an_entry_that_a_person_can_read() {
    let (environment, unit) = ("production".parse().unwrap(), "shop".parse().unwrap());
    let source = source("Ada");
    let scene = scene(&environment, &unit, &source);
    let step = |at: usize| {
        let mut step = told(Action::Change, &format!("manager-{}", at % 1_000));
        let (kind, name) = (step.object.kind.clone(), format!("m{at:05}"));
        step.object = ObjectId::parse(kind, Some("shop"), &name).unwrap();
        let field = step.fields[0].clone();
        step.fields.extend(std::iter::repeat_n(field, at % 100));
        if at % 5_000 == 4_999 {
            step.action = Action::Prune;
        }
        step
    };
    let mut steps: Vec<Told> = (0..10_000).map(step).collect();
    let message = |steps: &[Told]| {
        let entry = story::synced(&scene, steps, State::Synced, "", Changes::new());
        entry.message()
    };
    let text = message(&steps);
    assert!(text.len() < 60_000, "{} bytes", text.len());
    assert!(text.contains(": 9998 changed, 2 pruned\n"), "{text}");
    assert!(
        text.contains("\n… and 9950 more\n\nEnvironment: "),
        "{text}"
    );
    assert!(text.contains("\n  … and 81 more fields\n"), "{text}");
    // In which order they were done makes no difference, and what is gone comes first.
    steps.reverse();
    assert_eq!(message(&steps), text);
    let environment: EnvironmentName = "production".parse().unwrap();
    let entry = Recorded::read(
        &environment,
        revision('e'),
        &source.author,
        Timestamp::UNIX_EPOCH,
        &text,
    );
    let objects = entry.objects();
    assert_eq!(objects.len(), 50);
    let actions: Vec<&str> = objects.iter().map(|it| &*it.action).take(3).collect();
    assert_eq!(actions, ["prune", "prune", "change"]);
    assert_eq!(objects[2].object, "Deployment shop/m00000");

    let drift = story::drifted(&scene, &steps, Changes::new());
    let text = drift.message();
    assert!(text.len() < 60_000, "{} bytes", text.len());
    let actor = "manager-0, manager-1, manager-10, manager-100, manager-101 … and 995 more";
    assert_eq!(drift.author.name, actor);

    // Whatever an API server answers.
    let long = format!("{}\n", "x".repeat(5_000)).repeat(10_000);
    let stands = story::stands(&scene, None, State::Blocked, &long, Changes::new());
    let text = stands.message();
    assert!(text.len() < 450_000, "{} bytes", text.len());
    assert!(text.contains("\n… and 9600 more lines\n\nEnvironment: "));
}

#[test]
fn words_of_older_agents_are_understood() {
    let author = source("Ada").author;
    let environment = "production".parse().unwrap();
    let time = Timestamp::UNIX_EPOCH;
    for (word, state, event) in [
        ("suspended", "Suspended", Event::Suspended),
        ("hold", "Suspended", Event::Suspended),
        ("resume", "Progressing", Event::Resumed),
        ("hold", "Drifted", Event::Kept),
        ("resume", "Synced", Event::Released),
    ] {
        let message = format!(
            "production: shop\n\nEnvironment: production\nUnit: shop\nEvent: {word}\nCause: hold\nState: {state}\n"
        );
        let found = Recorded::read(&environment, revision('e'), &author, time, &message);
        assert_eq!(found.event(), Some(event), "{word} {state}");
    }
    for event in Event::all() {
        assert_eq!(event.to_string().parse(), Ok(event));
    }
    assert!("moon".parse::<Event>().is_err());
}

#[test]
fn what_the_agent_did_not_write_is_shown_as_such() {
    let environment: EnvironmentName = "production".parse().unwrap();
    for message in [
        "Fix a typo\n",
        "",
        "Environment: production",
        "Cause: drift\n\nEnvironment: staging\nCause: drift\n",
        "x\n\nNot a trailer\n\u{1b}[2J",
    ] {
        let author = Signature {
            name: "Eve\u{7}".to_owned(),
            email: String::new(),
            time: Timestamp::UNIX_EPOCH,
        };
        let time = Timestamp::UNIX_EPOCH;
        let found = Recorded::read(&environment, revision('e'), &author, time, message);
        assert_eq!(found.facts, None, "{message}");
        assert!(message.starts_with(found.subject.as_str()), "{message}");
        assert!(!found.body.contains('\u{1b}'));
        assert_eq!(found.author.name, r"Eve\u{7}");
    }
}

#[test]
fn who_approved_a_deletion_is_told_and_read_back() {
    let (environment, unit) = ("production".parse().unwrap(), "shop".parse().unwrap());
    let [source, approval] = ["Ada", "Bo, the <approver>"].map(source);
    let scene = Scene {
        approved: vec![&approval],
        ..scene(&environment, &unit, &source)
    };
    let pruned = [told(Action::Prune, "agent")];
    for entry in [
        story::synced(&scene, &pruned, State::Synced, "", Changes::new()),
        story::left(&scene, &pruned, Changes::new()),
    ] {
        assert!(
            entry
                .body
                .ends_with("\n\napproved by Bo, the <approver> with aaaaaaaa: Scale"),
            "{}",
            entry.body
        );
        let facts = read(&entry).facts.unwrap();
        assert_eq!(facts.approvals, std::slice::from_ref(&approval.revision));
        assert_eq!(
            facts.approved_by,
            ["Bo, the <approver> <ada@example.com>".to_owned()]
        );
    }
    let drift = story::drifted(&scene, &pruned, Changes::new());
    assert_eq!(read(&drift).facts.unwrap().approvals, []);
}

#[test]
fn a_drift_of_deletions_alone_is_told_as_deletions() {
    let (environment, unit) = ("production".parse().unwrap(), "shop".parse().unwrap());
    let source = source("Ada");
    let scene = scene(&environment, &unit, &source);
    let subject = |told: &[Told]| story::drifted(&scene, told, Changes::new()).subject;
    let gone = |name: &str| {
        let mut gone = told(Action::Create, "fred");
        let kind = gone.object.kind.clone();
        gone.object = ObjectId::parse(kind, Some("shop"), name).unwrap();
        gone.fields.clear();
        gone
    };
    let changed = told(Action::Change, "fred");
    assert_eq!(
        subject(&[gone("a"), gone("b")]),
        "production: somebody deleted 2 objects of shop"
    );
    assert_eq!(
        subject(&[gone("a"), changed]),
        "production: fred changed 2 objects of shop"
    );
}

#[test]
fn a_subject_that_is_too_long_for_its_line_is_read_back_whole() {
    let (environment, unit) = ("production".parse().unwrap(), "shop".parse().unwrap());
    let source = source("Ada");
    let scene = scene(&environment, &unit, &source);
    let why = format!("the API server refuses it {}", "and says why ".repeat(12));
    let none = Changes::new();
    let entry = story::stands(&scene, None, State::Blocked, &why, none);
    assert!(entry.message().lines().next().unwrap().ends_with('…'));
    let recorded = read(&entry);
    assert_eq!(recorded.subject, format!("shop is blocked: {}", why.trim()));
    assert_eq!(recorded.body.trim(), why.trim());
}
