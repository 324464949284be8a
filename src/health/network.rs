//! Services.

use serde_json::Value;

use super::Health;
use super::read::text;

/// As kstatus has it, a load balancer's address is not waited for: where nothing in
/// the cluster provides one, a wait would never end. The message says it is missing.
pub(super) fn service(object: &Value) -> Health {
    if text(object, "/spec/type") != "LoadBalancer" {
        return Health::current("nothing to wait for");
    }
    if text(object, "/spec/clusterIP").is_empty() {
        return Health::in_progress("waits for its cluster IP");
    }
    let addresses: Vec<&str> = object
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname"),
            ip => ip,
        })
        .collect();
    Health::current(if addresses.is_empty() {
        "no load balancer has given it an address yet".to_owned()
    } else {
        format!("reached at {}", addresses.join(", "))
    })
}
