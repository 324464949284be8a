//! Git's smart protocol over HTTP, as libgit2 wants it carried: one request for each act.

use std::sync::{Arc, Mutex};

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};

use super::exchange::Exchange;
use super::pace::Act;
use super::session::Session;
use super::{Conversation, generic};
use crate::runtime::lock::lock;

/// The transport of one conversation.
pub(super) struct Http {
    conversation: Arc<Conversation>,
    /// Made with the first request.
    session: Mutex<Option<Arc<Mutex<Session>>>>,
}

impl Http {
    pub(super) fn new(conversation: Arc<Conversation>) -> Self {
        Self {
            conversation,
            session: Mutex::default(),
        }
    }

    /// What was learnt with one request, as who we are, holds for the next.
    fn session(&self, url: &str) -> Result<Arc<Mutex<Session>>, Error> {
        let mut kept = lock(&self.session);
        if let Some(session) = kept.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Session::new(Arc::clone(&self.conversation), url).map_err(|problem| {
            let error = generic(&problem.to_string());
            self.conversation.fail(problem);
            error
        })?;
        let session = Arc::new(Mutex::new(session));
        Ok(Arc::clone(kept.insert(session)))
    }
}

impl SmartSubtransport for Http {
    fn action(
        &self,
        url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let act = match service {
            Service::UploadPackLs => Act::FetchRefs,
            Service::UploadPack => Act::Fetch,
            Service::ReceivePackLs => Act::PushRefs,
            Service::ReceivePack => Act::Push,
        };
        let conversation = Arc::clone(&self.conversation);
        Ok(Box::new(Exchange::new(
            conversation,
            self.session(url)?,
            act,
        )))
    }

    fn close(&self) -> Result<(), Error> {
        *lock(&self.session) = None;
        Ok(())
    }
}
