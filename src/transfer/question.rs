//! Questions: what the store is asked besides content, again if it fails for the moment.
//!
//! Apart from jobs because somebody waits for the answer, in order.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Engine, Transfer, retry};
use crate::store::{Store, StoreError};

impl Transfer {
    /// Ask the store something, again if it fails for the moment.
    pub fn ask<T, F>(&mut self, question: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let patience = self.engine.options.patience;
        let store = self.engine.store.clone();
        let asked = async move {
            match tokio::time::timeout(patience.for_a_question(), retry::retrying(patience, question)).await {
                Ok(answer) => answer,
                Err(_) => Err(store.no_answer(patience.for_a_question())),
            }
        };
        self.runtime().block_on(asked)
    }

    /// Ask something that ends by itself, once.
    pub fn ask_once<T>(&mut self, question: impl Future<Output = T>) -> T {
        self.runtime().block_on(question)
    }

    /// Ask the store the same of each of many, in parallel: the answers in their order, or the first
    /// failure.
    pub fn ask_each<Q, T, F>(
        &mut self,
        about: &[Q],
        question: impl Fn(Store, Q) -> F + Copy,
    ) -> Result<Vec<T>, StoreError>
    where
        Q: Clone,
        F: Future<Output = Result<T, StoreError>>,
    {
        let engine = Arc::clone(&self.engine);
        let asked = asked(&engine, about, question);
        let in_flight = self.engine.window.most();
        self.runtime().block_on(stream::iter(asked).buffered(in_flight).try_collect())
    }

    /// As [`Transfer::ask_each`], where one that fails does not stop the others.
    pub fn ask_each_by_itself<Q, T, F>(
        &mut self,
        about: &[Q],
        question: impl Fn(Store, Q) -> F + Copy,
    ) -> Vec<Result<T, StoreError>>
    where
        Q: Clone,
        F: Future<Output = Result<T, StoreError>>,
    {
        let engine = Arc::clone(&self.engine);
        let asked = asked(&engine, about, question);
        let in_flight = self.engine.window.most();
        self.runtime().block_on(stream::iter(asked).buffered(in_flight).collect())
    }
}

/// The questions, not asked yet.
fn asked<Q, T, F>(
    engine: &Arc<Engine>,
    about: &[Q],
    question: impl Fn(Store, Q) -> F + Copy,
) -> impl Iterator<Item = impl Future<Output = Result<T, StoreError>>>
where
    Q: Clone,
    F: Future<Output = Result<T, StoreError>>,
{
    about.iter().map(move |q| {
        let engine = Arc::clone(engine);
        async move {
            let ask = || engine.send(question(engine.store.clone(), q.clone()));
            retry::retrying(engine.options.patience, ask).await
        }
    })
}
