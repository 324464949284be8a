//! Whether the cluster is the one that an environment's record is of, found out before
//! anything is written to it.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::lineage::another_cluster;
use super::serve::Start;
use crate::model::EnvironmentName;
use crate::reconcile;

impl Start<'_> {
    /// The environments whose record is of another cluster than the one with this uid, and
    /// in words why nothing is done; none where it was said that this one takes its place.
    pub(super) async fn elsewhere(
        &self,
        here: Option<&str>,
    ) -> anyhow::Result<BTreeMap<EnvironmentName, String>> {
        let Some(here) = here.filter(|_| !self.args.new_cluster) else {
            return Ok(BTreeMap::new());
        };
        let names = self.args.environment.iter();
        let asked = names.map(|name| async move {
            let other = self.recorded_elsewhere(name, here).await?;
            let why = other.map(|recorded| another_cluster(name, &recorded, here));
            anyhow::Ok(why.map(|why| (name.clone(), why)))
        });
        let found = try_join_all(asked).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn recorded_elsewhere(
        &self,
        name: &EnvironmentName,
        here: &str,
    ) -> anyhow::Result<Option<String>> {
        let (data_dir, name, here) = (self.data_dir.clone(), name.clone(), here.to_owned());
        let (remote, names) = (self.record()?, self.args.record.names.clone());
        let read = move || reconcile::recorded_elsewhere(&name, &here, &data_dir, (remote, &names));
        tokio::task::spawn_blocking(read).await?
    }
}
