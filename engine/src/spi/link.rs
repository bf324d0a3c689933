//! Edges of the graph as a worker holds them.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::config::NodeName;
use crate::spi::Plane;

type Slot<P> = Rc<RefCell<Rc<<P as Plane>::Exit>>>;

/// An edge: a slot that holds what the target offers. A reload points the slot elsewhere; a stream
/// already opened keeps what it took out.
pub struct Link<P: Plane>(Slot<P>);

impl<P: Plane> Link<P> {
    /// A link of its own, for tests of one binding.
    #[must_use]
    pub fn to(exit: Rc<P::Exit>) -> Self {
        Self(Rc::new(RefCell::new(exit)))
    }

    /// What the target offers at this moment.
    #[must_use]
    pub fn get(&self) -> Rc<P::Exit> {
        Rc::clone(&self.0.borrow())
    }
}

impl<P: Plane> Clone for Link<P> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// What a node offers on one worker: an exit object of one plane, its type erased. The downcast
/// happens when a link is made, never per message, and cannot fail: planes were compared before.
pub struct Entry {
    plane: &'static str,
    slot: Rc<dyn Any>,
    repoint: fn(&Rc<dyn Any>, &Rc<dyn Any>),
}

impl Entry {
    /// An entry of plane `P`.
    #[must_use]
    pub fn new<P: Plane>(exit: Rc<P::Exit>) -> Self {
        let slot: Slot<P> = Rc::new(RefCell::new(exit));
        Self {
            plane: P::NAME,
            slot: Rc::new(slot),
            repoint: |old, new| {
                if let (Some(old), Some(new)) =
                    (old.downcast_ref::<Slot<P>>(), new.downcast_ref::<Slot<P>>())
                {
                    let exit = Rc::clone(&new.borrow());
                    *old.borrow_mut() = exit;
                }
            },
        }
    }

    /// Points this entry's slot, and so every link made from it, at what `new` offers. An entry of
    /// another plane takes the place outright: those who linked to the old one were replaced too.
    pub(crate) fn replace_with(&mut self, new: Self) {
        if self.plane == new.plane {
            (self.repoint)(&self.slot, &new.slot);
        } else {
            *self = new;
        }
    }
}

/// The entries of a worker, from which a node makes its links.
pub struct Links<'a> {
    entries: &'a HashMap<NodeName, Entry>,
}

impl<'a> Links<'a> {
    pub(crate) fn new(entries: &'a HashMap<NodeName, Entry>) -> Self {
        Self { entries }
    }

    /// The link to an exit that the definition named with plane `P`.
    ///
    /// # Panics
    /// Where the definition did not name the exit, or named it with another plane: the plan would
    /// have been refused otherwise.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a plan is refused where an exit or its plane is wrong")]
    pub fn link<P: Plane>(&self, exit: &NodeName) -> Link<P> {
        let slot = self
            .entries
            .get(exit)
            .and_then(|entry| entry.slot.downcast_ref::<Slot<P>>())
            .expect("the plan was checked");
        Link(Rc::clone(slot))
    }
}
