//! What is measured: units of Deployments, Services and the like.

use std::fmt::{self, Display, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// How many units of how many objects, and written how.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub units: usize,
    pub objects: usize,
    pub form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A kustomization in each unit.
    Kustomize,
    /// Plain YAML.
    Plain,
}

impl Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kustomize => "kustomizations",
            Self::Plain => "plain YAML",
        })
    }
}

impl Size {
    pub fn total(self) -> usize {
        self.units * self.objects
    }

    /// The names of the units, which are those of their directories.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..self.units).map(unit_name)
    }

    /// The units and numbers of all `ConfigMaps`, one of each unit in turn.
    pub fn config_maps(self) -> impl Iterator<Item = (usize, usize)> + Clone {
        let numbers = (0..self.objects).filter(|number| kind(*number) == Kind::ConfigMap);
        numbers.flat_map(move |number| (0..self.units).map(move |unit| (unit, number)))
    }

    /// Writes all units beneath a directory.
    pub fn write(self, root: &Path) -> Result<()> {
        for unit in 0..self.units {
            let directory = root.join(unit_name(unit));
            std::fs::create_dir_all(&directory)?;
            std::fs::write(directory.join("objects.yaml"), self.text(unit))?;
            if self.form == Form::Kustomize {
                let text = kustomization(unit);
                std::fs::write(directory.join("kustomization.yaml"), text)?;
            }
        }
        Ok(())
    }

    /// Every object as it is to be applied, rendered with kustomize where that is asked for.
    pub fn render(self, root: &Path, kustomize: &Path) -> Result<Vec<Value>> {
        let mut all = Vec::with_capacity(self.total());
        for name in self.names() {
            let directory = root.join(name);
            let text = match self.form {
                Form::Plain => std::fs::read_to_string(directory.join("objects.yaml"))?,
                Form::Kustomize => build(kustomize, &directory)?,
            };
            for document in serde_yaml::Deserializer::from_str(&text) {
                all.push(Value::deserialize(document)?);
            }
        }
        ensure!(all.len() == self.total(), "rendered {} objects", all.len());
        Ok(all)
    }

    fn text(self, unit: usize) -> String {
        let prefix = match self.form {
            Form::Kustomize => String::new(),
            Form::Plain => format!("{}-", unit_name(unit)),
        };
        let mut text = String::new();
        for number in 0..self.objects {
            let body = body(unit, number);
            writeln!(text, "---\n{body}\nmetadata: {{name: {prefix}o-{number}}}")
                .expect("text can be written to a String");
        }
        text
    }
}

/// The name of an object in the cluster.
pub fn object_name(unit: usize, number: usize) -> String {
    format!("{}-o-{number}", unit_name(unit))
}

/// Gives a ConfigMap another value in its unit's file.
pub fn edit(root: &Path, unit: usize, number: usize, value: &str) -> Result<()> {
    let path = root.join(unit_name(unit)).join("objects.yaml");
    let text = std::fs::read_to_string(&path)?;
    let start = value_of(unit, number);
    let (before, rest) = text.split_once(&start).context("no such ConfigMap")?;
    let (_, after) = rest.split_once('\'').context("its value has no end")?;
    Ok(std::fs::write(
        path,
        format!("{before}{start}{value}'{after}"),
    )?)
}

/// The value that a ConfigMap has at first.
pub const VALUE: &str = "as declared";

fn value_of(unit: usize, number: usize) -> String {
    format!("owner: {}.{number}, value: '", unit_name(unit))
}

/// The name of a unit and of its directory.
pub fn unit_name(unit: usize) -> String {
    format!("unit-{unit:04}")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deployment,
    Service,
    ServiceAccount,
    ConfigMap,
}

/// Of ten objects one is a Deployment and five are `ConfigMaps`; the first four are of
/// one kind each.
fn kind(number: usize) -> Kind {
    match number % 10 {
        0 => Kind::Deployment,
        1 | 6 => Kind::Service,
        2 | 7 => Kind::ServiceAccount,
        _ => Kind::ConfigMap,
    }
}

fn body(unit: usize, number: usize) -> String {
    let owner = format!("{}.{number}", unit_name(unit));
    match kind(number) {
        Kind::Deployment => deployment(&owner, number),
        Kind::Service => format!(
            "apiVersion: v1\nkind: Service\nspec: {{selector: {{app: {owner}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}"
        ),
        Kind::ServiceAccount => "apiVersion: v1\nkind: ServiceAccount".to_owned(),
        Kind::ConfigMap => {
            let value = value_of(unit, number);
            format!(
                "apiVersion: v1\nkind: ConfigMap\ndata: {{{value}{VALUE}', settings.ini: \"[server]\\nport = 8080\\nworkers = 4\\n\"}}"
            )
        }
    }
}

/// One in five spells a quantity otherwise than the API server does.
fn deployment(app: &str, number: usize) -> String {
    let cpu = if number.is_multiple_of(50) {
        "1000m"
    } else {
        "100m"
    };
    format!(
        "apiVersion: apps/v1
kind: Deployment
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      containers:
        - name: web
          image: registry.example.com/web:1.27.3
          ports: [{{name: http, containerPort: 8080}}]
          env:
            - {{name: LOG_LEVEL, value: info}}
            - {{name: PORT, value: '8080'}}
          resources: {{requests: {{cpu: {cpu}, memory: 128Mi}}, limits: {{memory: 256Mi}}}}
          readinessProbe: {{httpGet: {{path: /ready, port: http}}, periodSeconds: 5}}"
    )
}

fn kustomization(unit: usize) -> String {
    let name = unit_name(unit);
    format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namePrefix: {name}-
labels: [{{pairs: {{app.kubernetes.io/part-of: {name}}}}}]
resources: [objects.yaml]
"
    )
}

fn build(kustomize: &Path, directory: &Path) -> Result<String> {
    let mut command = Command::new(kustomize);
    let output = command.arg("build").arg(directory).output();
    let output = output.context("cannot run kustomize")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kustomize build failed: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
