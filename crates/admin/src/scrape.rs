//! A scrape as the body of an answer: the metrics are written as fast as they are read, one piece ahead. A scraper that
//! goes away ends it.
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use env::BoxFuture;
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::text::{Format, Gone, Page};

/// Writes all metrics to a page.
pub type Writing = Box<dyn FnOnce(Page) -> BoxFuture<Result<(), Gone>> + Send>;

pub fn body(format: Format, writing: Writing) -> Body {
    let (page, pieces) = Page::new(format);
    Body::from_stream(Scrape { writing: Some(writing(page)), pieces })
}

struct Scrape {
    writing: Option<BoxFuture<Result<(), Gone>>>,
    pieces: mpsc::Receiver<Bytes>,
}

impl Stream for Scrape {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(writing) = &mut self.writing
            && writing.as_mut().poll(context).is_ready()
        {
            self.writing = None; // And with it the page: the pieces end.
        }
        self.pieces.poll_recv(context).map(|piece| piece.map(Ok))
    }
}
