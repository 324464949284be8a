//! `agent diff --recorded` needs no cluster: it says what `agent diff` says of one that is
//! as its record tells, and what can't be told from the record.

use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: example.com/web:1
          resources: {limits: {cpu: 1000m}}
          ports: [{containerPort: 80}]
";

const OTHERS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: one, b: two}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old}
data: {a: one}
";

fn secret(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{p: {value}, q: same-hush}}\n"
    )
}

/// With nothing of a cluster's in its environment.
fn recorded(stage: &Stage, words: &[&str]) -> Ran {
    let agent = Agent::new(AGENT)
        .directory(stage.repository.work())
        .env("AGENT_NAMESPACE", &stage.inventories)
        .env("KUBECONFIG", "/there/is/none");
    let first = ["diff", "--recorded", "--environment", &stage.environment];
    agent.args([&first[..], words].concat()).run()
}

/// What is printed but for who set a field, which the record does not know, and what it
/// can't compare.
fn steps(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.contains("hmac:") && !line.contains("set by "));
    lines.map(str::to_owned).collect()
}

#[test]
fn it_says_what_diff_says() {
    let mut stage = Stage::new("offline", AGENT);
    let settings = [
        ("shop", "allowPlainSecrets: true, drift: report"),
        ("gone", ""),
    ];
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &stage.configuration(&settings)),
            ("shop/web.yaml", DEPLOYMENT),
            ("shop/others.yaml", OTHERS),
            ("shop/s.yaml", &secret("hush-one")),
            (
                "gone/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gone}\n",
            ),
        ],
    );
    let ran = recorded(&stage, &[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("git fetch origin '+refs/heads/live/"),
        "{}",
        ran.stderr
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.until_synced("gone", &revision);
    let fetch = |stage: &Stage| {
        let branches = "+refs/heads/live/*:refs/remotes/origin/live/*";
        stage
            .repository
            .git(&["fetch", "--quiet", "origin", branches]);
    };
    fetch(&stage);

    // As it was synced, whatever the server has made of it.
    let ran = recorded(&stage, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("no difference, 6 objects as declared"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr
            .contains("compared with the record, whose last entry"),
        "{}",
        ran.stderr
    );

    // A change of everything: changed, created, pruned, another unit left.
    let deployment = DEPLOYMENT
        .replace("web:1", "web:2")
        .replace("replicas: 2", "replicas: 3");
    let others = OTHERS
        .replace("b: two", "c: three")
        .replace("name: old", "name: new");
    let write = |path: &str, text: &str| stage.repository.write(path, text);
    write("shop/web.yaml", &deployment);
    write("shop/others.yaml", &others);
    write("shop/s.yaml", &secret("hush-two"));
    write("agent.yaml", &stage.configuration(&settings[..1]));
    let ran = recorded(&stage, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for part in [
        "change Deployment",
        "-      - image: example.com/web:1",
        "+      - image: example.com/web:2",
        "-  replicas: 2",
        "+  replicas: 3",
        "change ConfigMap",
        "-  b: two",
        "+  c: three",
        "create ConfigMap",
        "prune ConfigMap",
        "/gone",
        "could not be compared: `p` of Secret",
        "2 to change, 1 to create, 2 to prune; 2 as declared",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(
        !ran.stdout.contains("cpu: 1000m\n-") && !ran.stdout.contains("-              cpu"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("hush"), "{}", ran.stdout);
    // Line by line what the cluster's has, but for the Secret.
    let with_cluster = stage.diff(&[]);
    let of_cluster: Vec<String> = steps(&with_cluster);
    let missing: Vec<String> = steps(&ran)
        .into_iter()
        .filter(|line| !of_cluster.contains(line))
        .collect();
    let only_here = ["note: values of Secrets", "as declared", "@@"];
    let unexpected: Vec<&String> = missing
        .iter()
        .filter(|line| !only_here.iter().any(|known| line.contains(known)))
        .collect();
    assert!(
        unexpected.is_empty(),
        "{unexpected:#?}\n{}\n{}",
        with_cluster.stdout,
        ran.stdout
    );
    let json: Value = serde_json::from_str(&recorded(&stage, &["-o", "json"]).stdout).unwrap();
    assert_eq!(json[0]["units"].as_array().unwrap().len(), 2);

    // Drift that is left is in the record.
    stage.repository.git(&["checkout", "--quiet", "--", "."]);
    stage.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "--type=merge",
        "-p",
        r#"{"data":{"a":"x"}}"#,
    ]);
    stage.until_state("shop", "Drifted");
    fetch(&stage);
    let ran = recorded(&stage, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    for part in [
        "live has drifted; left as it is",
        "-  a: x",
        "+  a: one",
        "1 to leave drifted; 5 as declared",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn what_is_guarded_is_blocked_here_too() {
    let mut stage = Stage::new("guarded", AGENT);
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    stage.commit(
        "Start",
        &[
            (
                "agent.yaml",
                &stage.configuration(&[("shop", "health: {timeout: 1s}")]),
            ),
            (
                "shop/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            ),
            ("shop/pvc.yaml", claim),
        ],
    );
    stage.start();
    stage.until_state("shop", "Failed");
    stage.repository.git(&[
        "fetch",
        "--quiet",
        "origin",
        "+refs/heads/*:refs/remotes/origin/*",
    ]);
    stage.repository.remove("shop/pvc.yaml");
    let ran = recorded(&stage, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for part in [
        "blocked prune PersistentVolumeClaim",
        "takes everything in it along",
        "with the cluster",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("Approve-Plan"), "{}", ran.stdout);
}
