//! An array that stays in the frame: the bytes of its elements, walked once when the message was validated, read again
//! when someone iterates. Never allocates.

use std::fmt;
use std::marker::PhantomData;

use crate::{Reader, Uuid};

/// A validated array of `T`, borrowed from a frame. Iterating reads each element anew: keep an element, not an index.
pub struct Array<'a, T> {
    elements: &'a [u8],
    length: u32,
    version: i16,
    flexible: bool,
    element: PhantomData<T>,
}

/// What an array can hold, and what a struct can be read as.
pub trait Element<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Self;

    /// Validates and steps over `count` elements.
    fn skip(reader: &mut Reader<'a>, count: usize) {
        for _ in 0..count {
            Self::read(reader);
            if reader.finish().is_err() {
                return;
            }
        }
    }
}

/// Yields the elements of an [`Array`].
#[derive(Clone)]
pub struct ArrayIter<'a, T> {
    reader: Reader<'a>,
    left: usize,
    element: PhantomData<T>,
}

impl<'a, T: Element<'a>> Array<'a, T> {
    pub(crate) fn new(elements: &'a [u8], length: usize, version: i16, flexible: bool) -> Self {
        Self { elements, length: length as u32, version, flexible, element: PhantomData }
    }

    pub fn len(&self) -> usize {
        self.length as usize
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn iter(&self) -> ArrayIter<'a, T> {
        let reader = Reader::new(self.elements, self.version, self.flexible);
        ArrayIter { reader, left: self.len(), element: PhantomData }
    }

    /// All elements, each passed through `owned`. Allocates once: that many elements were in the frame.
    pub fn to_vec<O>(&self, owned: fn(&T) -> O) -> Vec<O> {
        let mut elements = Vec::with_capacity(self.len());
        for element in self {
            elements.push(owned(&element));
        }
        elements
    }

    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }
}

impl<'a, T: Element<'a>> Iterator for ArrayIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        Some(T::read(&mut self.reader))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for ArrayIter<'a, T> {}

impl<'a, T: Element<'a>> IntoIterator for Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'a, T>;

    fn into_iter(self) -> ArrayIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> IntoIterator for &Array<'a, T> {
    type Item = T;
    type IntoIter = ArrayIter<'a, T>;

    fn into_iter(self) -> ArrayIter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for Array<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Array<'_, T> {}

impl<T> Default for Array<'_, T> {
    fn default() -> Self {
        Self { elements: &[], length: 0, version: 0, flexible: false, element: PhantomData }
    }
}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Element<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Self {
        reader.string()
    }
}

macro_rules! fixed_size_elements {
    ($($type:ty: $read:ident $size:literal;)*) => { $(
        impl<'a> Element<'a> for $type {
            fn read(reader: &mut Reader<'a>) -> Self {
                reader.$read()
            }

            fn skip(reader: &mut Reader<'a>, count: usize) {
                reader.slice(count * $size);
            }
        }
    )* };
}

fixed_size_elements! {
    i8: i8 1;
    i16: i16 2;
    i32: i32 4;
    i64: i64 8;
    Uuid: uuid 16;
}
