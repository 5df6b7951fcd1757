use std::time::Duration;

use crate::backoff::ride_out;
use crate::control::Brake;
use crate::pipeline::{Change, Item};
use crate::port::{IndexPort, Known, PortError, PortErrorKind};

/// Documents with what the index holds of them.
pub(crate) struct Looked {
    pub(crate) items: Vec<Item>,
    /// What is known of each, in order; the inner error is the index's, `None` means that looking was stopped.
    pub(crate) known: Option<Result<Vec<Option<Known>>, PortError>>,
}

/// Looks `items` up, riding out times when the index is away.
pub(crate) async fn look_up<I: IndexPort>(
    index: &I,
    mut items: Vec<Item>,
    patience: Duration,
    brake: &Brake,
) -> Looked {
    let ids: Vec<String> = items.iter_mut().map(|item| std::mem::take(item.id_mut())).collect();
    let known = known(index, &ids, patience, brake).await;
    for (item, id) in items.iter_mut().zip(ids) {
        *item.id_mut() = id;
    }
    Looked { items, known }
}

impl Item {
    fn id_mut(&mut self) -> &mut String {
        match &mut self.change {
            Change::Index(document) => &mut document.id,
            Change::Delete(id) => id,
        }
    }
}

async fn known<I: IndexPort>(
    index: &I,
    ids: &[String],
    patience: Duration,
    brake: &Brake,
) -> Option<Result<Vec<Option<Known>>, PortError>> {
    let mut known = Vec::with_capacity(ids.len());
    let mut step = ids.len();
    while known.len() < ids.len() {
        let part = &ids[known.len()..ids.len().min(known.len() + step)];
        match ride_out(patience, brake, || index.lookup(part)).await? {
            Ok(found) if found.len() == part.len() => known.extend(found),
            Ok(found) => {
                let (answers, asked) = (found.len(), part.len());
                let message = format!("the index gave {answers} answers to {asked} ids");
                return Some(Err(PortError::new(PortErrorKind::Rejected, message)));
            }
            Err(error) if error.kind == PortErrorKind::TooLarge && part.len() > 1 => step = part.len() / 2,
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(known))
}
