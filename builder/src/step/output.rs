//! The outputs of steps, by names that carry the step's kind and the type of the output.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::digest::Digest;
use crate::store::{Blob, Output, Store, StoreError};
use crate::tree::Tree;

/// A step, by its place in [`Graph::steps`](super::Graph::steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// A step of the kind `A`.
#[derive(Debug)]
pub struct Id<A> {
    step: StepId,
    kind: PhantomData<fn() -> A>,
}

impl<A> Clone for Id<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Id<A> {}

impl<A> Id<A> {
    pub(super) fn new(step: StepId) -> Self {
        Self { step, kind: PhantomData }
    }

    /// The step, whatever its kind.
    pub fn step(self) -> StepId {
        self.step
    }

    /// One of its outputs.
    pub fn output<T>(self, name: OutputName<A, T>) -> Ref<T> {
        Ref::new(self.step, name.name)
    }
}

/// The name of an output that each step of the kind `A` has.
#[derive(Debug)]
pub struct OutputName<A, T> {
    name: &'static str,
    kind: PhantomData<fn() -> (A, T)>,
}

impl<A, T> OutputName<A, T> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, kind: PhantomData }
    }

    pub(super) fn name(self) -> &'static str {
        self.name
    }
}

impl<A> OutputName<A, Blob> {
    /// The output, as the store keeps it.
    pub(super) fn of(self, blob: Blob) -> (String, Output) {
        (self.name.to_owned(), blob.into())
    }
}

impl<A> OutputName<A, Tree> {
    /// The output, as the store keeps it, from the digest that the store returned for the tree.
    pub(super) fn of(self, digest: Digest) -> (String, Output) {
        (self.name.to_owned(), Output::Tree { digest })
    }
}

/// One output of a step: a [`Tree`], or a [`Blob`].
#[derive(Clone, Debug)]
pub struct Ref<T> {
    /// The step.
    pub step: StepId,
    name: Cow<'static, str>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Ref<T> {
    pub(super) fn new(step: StepId, name: impl Into<Cow<'static, str>>) -> Self {
        Self { step, name: name.into(), kind: PhantomData }
    }

    /// The output's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What can be an output of a step.
pub trait Value: Sized {
    /// Reads the store's record of the output; `None` if that is an output of another type.
    fn from(output: Output, store: &Store) -> Result<Option<Self>, StoreError>;
}

impl Value for Blob {
    fn from(output: Output, _: &Store) -> Result<Option<Self>, StoreError> {
        Ok(match output {
            Output::Blob { digest, size } => Some(Self { digest, size }),
            _ => None,
        })
    }
}

impl Value for Tree {
    fn from(output: Output, store: &Store) -> Result<Option<Self>, StoreError> {
        match output {
            Output::Tree { digest } => Ok(Some(store.tree(&digest)?)),
            _ => Ok(None),
        }
    }
}
