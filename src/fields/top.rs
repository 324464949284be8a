//! What is special at the top of an object: its metadata, and what the server takes only
//! from another endpoint or under another name.

use serde_json::Value;

use super::builtin::STRIPPED;
use super::compare::{NOTHING, Walk};
use super::path::Step;
use super::scalar::{same, zero};
use super::set::FieldSet;
use super::verdict::{Doubt, Kind};

impl<'a> Walk<'a> {
    pub(super) fn object(&mut self, desired: &'a Value, owned: &'a FieldSet) {
        let (Some(desired), Some(live)) = (desired.as_object(), self.live.body.as_object()) else {
            return self.report(Kind::Unclear, Some(Doubt::Unaligned));
        };
        for (name, value) in desired {
            let (live, owned) = (live.get(name), owned.field(name));
            self.within(Step::Field(name), |walk| match name.as_str() {
                "apiVersion" | "kind" => {}
                "metadata" => walk.metadata(value, live, owned),
                "stringData" if walk.secret => walk.string_data(value, owned),
                "status" => walk.reset(value, live, owned),
                "spec" if walk.spec_is_reset() => walk.reset(value, live, owned),
                _ => walk.visit(value, live, owned),
            });
        }
        self.extras(desired, Some(live), owned);
    }

    fn metadata(
        &mut self,
        desired: &'a Value,
        live: Option<&'a Value>,
        owned: Option<&'a FieldSet>,
    ) {
        let owned = owned.unwrap_or(&NOTHING);
        let (Some(desired), Some(live)) = (desired.as_object(), live.and_then(Value::as_object))
        else {
            return self.report(Kind::Unclear, Some(Doubt::Unaligned));
        };
        for (name, value) in desired {
            let live = live.get(name);
            self.within(Step::Field(name), |walk| match name.as_str() {
                // A precondition rather than a value to set.
                "uid" | "resourceVersion" => {
                    if live != Some(value) {
                        walk.report(Kind::Unclear, Some(Doubt::Unaligned));
                    }
                }
                name if STRIPPED.contains(&name) => {}
                name => walk.visit(value, live, owned.field(name)),
            });
        }
        self.extras(desired, Some(live), owned);
    }

    /// What the server may refuse to take from this endpoint, and then keeps no
    /// ownership of.
    fn reset(&mut self, desired: &'a Value, live: Option<&'a Value>, owned: Option<&'a FieldSet>) {
        if owned.is_some() {
            self.visit(desired, live, owned);
        } else if !zero(desired) && live.is_none_or(|live| !same(desired, live)) {
            self.report(Kind::Unclear, Some(Doubt::Unaligned));
        }
    }

    /// The one built-in kind whose whole spec is taken back on update.
    fn spec_is_reset(&self) -> bool {
        self.live.body.get("kind").and_then(Value::as_str) == Some("CertificateSigningRequest")
    }

    /// `stringData` is written to be read as `data`: it is never live itself, yet
    /// owned as what was sent.
    fn string_data(&mut self, desired: &'a Value, owned: Option<&'a FieldSet>) {
        let Some(desired) = desired.as_object() else {
            return self.report(Kind::Unclear, Some(Doubt::Zero));
        };
        if desired.is_empty() && owned.is_none() {
            return self.report(Kind::NotOwned, Some(Doubt::Zero));
        }
        let owned = owned.unwrap_or(&NOTHING);
        let data = self.live.body.get("data");
        for (name, value) in desired {
            let live = data.and_then(|data| data.get(name));
            let ours = owned.field(name).is_some();
            self.within(Step::Field(name), |walk| match (live, value.as_str()) {
                (Some(live), Some(text)) if encodes(live, text) => {
                    if !ours {
                        walk.report(Kind::NotOwned, None);
                    }
                }
                (Some(live), _) => walk.changed(value, live, ours),
                (None, _) => walk.missing(value, ours),
            });
        }
        self.extras(desired, None, owned);
    }
}

fn encodes(live: &Value, text: &str) -> bool {
    use base64::Engine as _;
    live.as_str().is_some_and(|live| {
        let decoded = base64::engine::general_purpose::STANDARD.decode(live);
        decoded.is_ok_and(|bytes| bytes == text.as_bytes())
    })
}
