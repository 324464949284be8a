//! Whether an environment's record is of this cluster and of this namespace of the agent's,
//! found out before anything is written to either.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures::future::try_join_all;

use super::lineage;
use super::serve::Start;
use crate::kube;
use crate::model::EnvironmentName;
use crate::reconcile::{self, Elsewhere, Here};
use crate::record::status::Ties;
use crate::runtime::clock;

/// How an environment is found before it is served.
#[derive(Debug, Clone)]
pub enum Found {
    /// There is a record of it.
    Recorded,
    /// There is none.
    Unheard,
    /// It is not to be served from here, and in words why: its record is of elsewhere, and it
    /// was not said that this takes its place, or the agent whose place this takes is still
    /// there.
    Refused(String),
}

impl Start<'_> {
    /// How the environments are found.
    pub(super) async fn find(
        &self,
        here: &Here,
    ) -> anyhow::Result<BTreeMap<EnvironmentName, Found>> {
        let names = self.args.environment.iter();
        let asked = names.map(|name| async move {
            let recorded = self.recorded_ties(name, here).await?;
            let why = match self.refused(name, &recorded, here) {
                Some(why) => Some(why),
                None => self.still_served(name).await?,
            };
            let found = match why {
                Some(why) => Found::Refused(why),
                None if recorded == Ties::default() => Found::Unheard,
                None => Found::Recorded,
            };
            anyhow::Ok((name.clone(), found))
        });
        Ok(try_join_all(asked).await?.into_iter().collect())
    }

    /// In words, that an environment's record is of elsewhere, where it was not said that
    /// this takes its place.
    pub(super) fn refused(
        &self,
        name: &EnvironmentName,
        recorded: &Ties,
        here: &Here,
    ) -> Option<String> {
        let other = here.apart(recorded)?;
        let said = match &other {
            Elsewhere::Cluster(_) => self.args.new_cluster,
            Elsewhere::Namespace(before) => self.args.from_namespace.as_ref() == Some(before),
        };
        (!said).then(|| lineage::elsewhere(name, &other, here))
    }

    /// In words, that the agent is still there whose place this one takes.
    async fn still_served(&self, name: &EnvironmentName) -> anyhow::Result<Option<String>> {
        let Some(before) = &self.args.from_namespace else {
            return Ok(None);
        };
        let holder = kube::served_by(&self.cluster, before, name, clock::now()).await;
        let holder = holder.with_context(|| {
            format!("whether an agent whose inventories are in the namespace {before} still serves {name} can't be told; grant get on leases there")
        })?;
        Ok(holder.map(|holder| {
            format!("{name} is still served by {holder}, whose inventories are in the namespace {before}; end that agent, then start this one again")
        }))
    }

    async fn recorded_ties(&self, name: &EnvironmentName, here: &Here) -> anyhow::Result<Ties> {
        let (data_dir, name, here) = (self.data_dir.clone(), name.clone(), here.clone());
        let (remote, names) = (self.record()?, self.args.record.names.clone());
        let read = move || reconcile::recorded_ties(&name, &here, &data_dir, (remote, &names));
        tokio::task::spawn_blocking(read).await?
    }
}
