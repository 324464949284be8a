//! A list had in pages: all of them, or none.

use kube::core::params::ListParams;
use serde_json::Value;

use super::error::ApiError;

/// How many objects one page holds at first, as in client-go.
const PAGE: u32 = 500;
/// How many objects a list may have. Ten times what the agent is made for; a server that
/// always has one more page must not keep it from its work.
pub(super) const MOST_LISTED: usize = 100_000;

/// The pages of one list, as far as they were read.
pub(super) struct Pages {
    params: ListParams,
    /// Whether there is one more.
    more: bool,
    count: usize,
    /// What the list is of, once it was told.
    version: String,
}

impl Pages {
    /// Of the objects that a label selector takes; of all for `None`.
    pub(super) fn new(labels: Option<&str>) -> Self {
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = labels.map(str::to_owned);
        Self {
            params,
            more: true,
            count: 0,
            version: String::new(),
        }
    }

    /// The resourceVersion of the list.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// What to ask for next; `None` once all was read.
    pub(super) fn next(&self) -> Option<&ListParams> {
        self.more.then_some(&self.params)
    }

    /// The items of the page that was asked for. None of one that is too large: it is to be
    /// asked for in smaller ones.
    pub(super) fn read(&mut self, page: Result<Value, ApiError>) -> Result<Vec<Value>, ApiError> {
        let mut page = match page {
            Ok(page) => page,
            Err(ApiError::TooLarge(_)) if self.params.limit > Some(1) => {
                self.params.limit = self.params.limit.map(|limit| (limit / 8).max(1));
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let text = |pointer: &str| page.pointer(pointer).and_then(Value::as_str);
        let token = text("/metadata/continue").filter(|token| !token.is_empty());
        let (token, version) = (token.map(str::to_owned), text("/metadata/resourceVersion"));
        let version = version.unwrap_or_default().to_owned();
        let kind = text("/kind").unwrap_or_default().to_owned();
        // An answer without a list is no empty list: nothing is taken for gone by it.
        let items = match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if !version.is_empty() => items,
            _ => {
                return Err(ApiError::Misanswered {
                    asked: "a list".to_owned(),
                    told: format!("something else (kind `{kind}`)"),
                });
            }
        };
        self.count += items.len();
        if self.count > MOST_LISTED {
            return Err(too_many());
        }
        self.more = token.is_some();
        self.params.continue_token = token;
        self.version = version;
        Ok(items)
    }
}

/// More objects than are listed.
pub(super) fn too_many() -> ApiError {
    ApiError::TooLarge(format!("the list has more than {MOST_LISTED} objects"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(items: usize, token: &str) -> Value {
        json!({"kind": "ConfigMapList", "apiVersion": "v1", "items": vec![json!({}); items],
            "metadata": {"resourceVersion": "7", "continue": token}})
    }

    #[test]
    fn a_list_ends_with_its_last_page() {
        let mut pages = Pages::new(Some("a=b"));
        assert_eq!(pages.read(Ok(page(2, "more"))).map(|it| it.len()), Ok(2));
        let next = pages.next().and_then(|it| it.continue_token.clone());
        assert_eq!(next.as_deref(), Some("more"));
        assert_eq!(pages.read(Ok(page(1, ""))).map(|it| it.len()), Ok(1));
        assert!(pages.next().is_none());
        assert_eq!(pages.version(), "7");
    }

    #[test]
    fn what_is_no_list_is_no_empty_list() {
        for other in [
            json!({}),
            json!({"kind": "Status", "status": "Success"}),
            json!({"kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}}),
            json!({"kind": "ConfigMapList", "metadata": {}, "items": []}),
            json!({"kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": null}),
            json!([]),
        ] {
            let read = Pages::new(None).read(Ok(other.clone()));
            assert!(matches!(read, Err(ApiError::Misanswered { .. })), "{other}");
        }
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_in_smaller_ones_and_a_list_without_end_ends() {
        let mut pages = Pages::new(None);
        let large = || Err(ApiError::TooLarge(String::new()));
        let mut limits = Vec::new();
        while pages.read(large()).is_ok() {
            limits.extend(pages.next().and_then(|it| it.limit));
        }
        assert_eq!(limits, [62, 7, 1]);

        let mut pages = Pages::new(None);
        let mut read = 0;
        while pages.read(Ok(page(500, "more"))).is_ok() {
            read += 1;
        }
        assert_eq!(read, MOST_LISTED / 500);
    }
}
