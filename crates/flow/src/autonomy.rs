//! Where the types of directives on the ladder stand: reads alone.

use crate::control::Control;
use gate::autonomy::{Standing, assess};
use gate::{Autonomy, KillSwitch, kill};
use kernel::{Refusal, TenantId};

impl Control {
    /// Where every type of directive stands that the pack in force puts on the
    /// ladder, by its name.
    ///
    /// # Errors
    /// When the tenant has no pack, or storage does not answer.
    pub async fn ladder(&self, tenant: TenantId) -> Result<Vec<Standing>, Refusal> {
        let in_force = self.in_force(tenant)?;
        let switch = self.recorded::<KillSwitch>(tenant, kill::ID).await?;
        let switch = switch.unwrap_or_default();
        let mut standings = Vec::new();
        for (kind, terms) in &in_force.pack.rules.approvals.autonomous {
            let record = self.recorded::<Autonomy>(tenant, kind).await?;
            let now = self.now();
            standings.push(assess(kind, terms, record.as_ref(), &switch, now)?);
        }
        Ok(standings)
    }
}
