//! What crosses the boundary, and the gate that every function goes through.
//!
//! Safety, for every `unsafe` of this file: the caller keeps what the head of the header says:
//! pointers are null or valid for the length beside them during the call, and an object is one that
//! `voxwire_*_new` gave out, not freed, used by one thread at a time.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{mem, ptr, slice, str};

use crate::code::{ErrorCode, VoxwireError};
use crate::values::ABI_VERSION;

/// UTF-8 that is not ended by a zero; `data` is null for a text that is not there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The first byte.
    pub data: *const c_char,
    /// How many bytes there are.
    pub len: usize,
}

/// Some bytes; `data` is null for bytes that are not there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first one.
    pub data: *const u8,
    /// How many there are.
    pub len: usize,
}

/// Several pieces of bytes, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BytesList {
    /// The first one.
    pub items: *const Bytes,
    /// How many there are.
    pub len: usize,
}

/// Several texts, in order.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TextList {
    /// The first one.
    pub items: *const Text,
    /// How many there are.
    pub len: usize,
}

/// Why a call failed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Error {
    /// What is wrong.
    pub code: ErrorCode,
    /// Number of the message at fault; 0 = unknown or not numbered.
    pub seq: u64,
    /// One sentence for a developer; never echoes what was given.
    pub reason: Text,
}

impl Text {
    /// No text.
    pub const NONE: Self = Self { data: ptr::null(), len: 0 };

    /// The text, during a call.
    pub(super) fn read<'a>(self) -> Result<&'a str, VoxwireError> {
        let bytes = Bytes { data: self.data.cast(), len: self.len }.read();
        str::from_utf8(bytes).map_err(|_| VoxwireError::invalid("a text is not UTF-8"))
    }

    /// The text as one of the library's.
    pub(super) fn owned(self) -> Result<String, VoxwireError> {
        self.read().map(ToOwned::to_owned)
    }
}

impl Bytes {
    /// No bytes.
    pub const NONE: Self = Self { data: ptr::null(), len: 0 };

    /// The bytes, during a call.
    pub(super) fn read<'a>(self) -> &'a [u8] {
        array(self.data, self.len)
    }
}

/// An array of the caller's, during a call.
pub(super) fn array<'a, T>(items: *const T, len: usize) -> &'a [T] {
    if items.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: not null, and valid for `len`.
    unsafe { slice::from_raw_parts(items, len) }
}

/// What a structure of the caller's says.
pub(super) fn given<T: Copy>(value: *const T) -> Result<T, VoxwireError> {
    // SAFETY: null or valid.
    unsafe { value.as_ref() }.copied().ok_or_else(|| VoxwireError::invalid("a pointer is null"))
}

/// Hands a value out; one that the caller does not want (null) is dropped.
pub(super) fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not null, and valid for a write.
        unsafe { out.write(value) };
    }
}

/// What an object has handed out; it lasts until the next call on the object.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Box<dyn Any>>);

impl Kept {
    pub(super) fn text(&mut self, text: String) -> Text {
        let view = Text { data: text.as_ptr().cast(), len: text.len() };
        self.0.push(Box::new(text));
        view
    }

    pub(super) fn optional_text(&mut self, text: Option<String>) -> Text {
        text.map_or(Text::NONE, |text| self.text(text))
    }

    pub(super) fn bytes(&mut self, bytes: Vec<u8>) -> Bytes {
        let (data, len) = self.list(bytes);
        Bytes { data, len }
    }

    pub(super) fn optional_bytes(&mut self, bytes: Option<Vec<u8>>) -> Bytes {
        bytes.map_or(Bytes::NONE, |bytes| self.bytes(bytes))
    }

    pub(super) fn bytes_list(&mut self, pieces: Vec<Vec<u8>>) -> BytesList {
        let views = pieces.into_iter().map(|piece| self.bytes(piece)).collect();
        let (items, len) = self.list(views);
        BytesList { items, len }
    }

    pub(super) fn list<T: 'static>(&mut self, items: Vec<T>) -> (*const T, usize) {
        let view = (items.as_ptr(), items.len());
        self.0.push(Box::new(items));
        view
    }
}

/// An object of the library's in the hands of a C program.
#[derive(Debug)]
pub(super) struct Object<T> {
    inner: T,
    kept: Kept,
    /// A verb has panicked: nobody knows what state it left.
    broken: bool,
}

impl<T> Object<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, kept: Kept::default(), broken: false }
    }
}

/// An opaque type of the header.
pub(super) trait Handle {
    /// What it is made of.
    type Inner;

    /// What it holds.
    fn object(&mut self) -> &mut Object<Self::Inner>;
}

/// Says that an opaque type holds an object.
macro_rules! handle {
    ($name:ident of $inner:ty) => {
        impl $crate::c::memory::Handle for $name {
            type Inner = $inner;

            fn object(&mut self) -> &mut Object<$inner> {
                &mut self.0
            }
        }
    };
}
pub(super) use handle;

type Outcome = Result<(), VoxwireError>;

/// The gate: what is refused and what panics becomes a code, with the details for
/// [`voxwire_last_error`].
pub(super) fn guard(run: impl FnOnce() -> Outcome) -> ErrorCode {
    match catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(defect())) {
        Ok(()) => ErrorCode::Unspecified,
        Err(error) => {
            let VoxwireError::Refused { code, .. } = &error;
            let code = *code;
            LAST.with(|last| *last.borrow_mut() = Some(error));
            code
        }
    }
}

/// A call on an object: what it handed out before is void after it (an argument may point there).
/// An object whose call panicked answers every later one with `INTERNAL`.
pub(super) fn on<H: Handle>(
    handle: *mut H,
    run: impl FnOnce(&H::Inner, &mut Kept) -> Outcome,
) -> ErrorCode {
    guard(|| {
        // SAFETY: null or an object of the library's that nobody else uses now.
        let handle = unsafe { handle.as_mut() };
        let object = handle.ok_or_else(|| VoxwireError::invalid("the object is null"))?.object();
        if object.broken {
            return Err(defect());
        }
        object.broken = true;
        let before = mem::take(&mut object.kept);
        let outcome = run(&object.inner, &mut object.kept);
        object.broken = false;
        drop(before);
        outcome
    })
}

/// A call on an object that several threads may call at once.
#[cfg(feature = "client")]
pub(super) fn beside<H>(handle: *const H, run: impl FnOnce(&H) -> Outcome) -> ErrorCode {
    guard(|| {
        // SAFETY: null or an object of the library's that is not freed meanwhile.
        let handle = unsafe { handle.as_ref() };
        run(handle.ok_or_else(|| VoxwireError::invalid("the object is null"))?)
    })
}

/// Writes to an array of the caller's that is as long; one that is null is not wanted.
#[cfg(feature = "client")]
pub(super) fn fill<T: Copy>(items: *mut T, values: &[T]) {
    if !items.is_null() {
        // SAFETY: not null, and valid for a write of so many.
        unsafe { items.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
    }
}

/// Gives an object out.
pub(super) fn give<H>(
    out: *mut *mut H,
    make: impl FnOnce() -> Result<H, VoxwireError>,
) -> ErrorCode {
    put(out, ptr::null_mut());
    guard(|| {
        if out.is_null() {
            return Err(VoxwireError::invalid("there is no place for the object"));
        }
        put(out, Box::into_raw(Box::new(make()?)));
        Ok(())
    })
}

/// Takes an object back.
pub(super) fn free<H>(handle: *mut H) {
    if !handle.is_null() {
        // SAFETY: it came from `give`, and is not used any more.
        guard(|| {
            drop(unsafe { Box::from_raw(handle) });
            Ok(())
        });
    }
}

fn defect() -> VoxwireError {
    let reason = "a defect of the library, or a number beyond its range".to_owned();
    VoxwireError::Refused { code: ErrorCode::Internal, reason, seq: 0 }
}

thread_local! {
    static LAST: RefCell<Option<VoxwireError>> = const { RefCell::new(None) };
}

/// Why the last call of this thread that failed did so. Its reason lasts until the next call of
/// this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_last_error() -> Error {
    LAST.with(|last| match &*last.borrow() {
        None => Error { code: ErrorCode::Unspecified, seq: 0, reason: Text::NONE },
        Some(VoxwireError::Refused { code, reason, seq }) => {
            let reason = Text { data: reason.as_ptr().cast(), len: reason.len() };
            Error { code: *code, seq: *seq, reason }
        }
    })
}

/// Whether this library is what a header was written for: pass `VOXWIRE_ABI_VERSION` and call it
/// before anything else. `VERSION` when it is not.
#[unsafe(no_mangle)]
pub extern "C" fn voxwire_check_abi(header_version: u32) -> ErrorCode {
    guard(|| {
        if header_version == ABI_VERSION {
            return Ok(());
        }
        let reason = "voxwire.h and the library are not of one version".to_owned();
        Err(VoxwireError::Refused { code: ErrorCode::Version, reason, seq: 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(Object<u8>);
    handle!(Counter of u8);

    #[test]
    fn a_panic_is_a_code_and_the_object_stays_unusable() {
        let mut made = ptr::null_mut();
        assert_eq!(give(&raw mut made, || Ok(Counter(Object::new(7)))), ErrorCode::Unspecified);
        assert_eq!(on(made, |_, _| Ok(())), ErrorCode::Unspecified);
        assert_eq!(on(made, |_, _| panic!("on purpose")), ErrorCode::Internal);
        assert_eq!(voxwire_last_error().code, ErrorCode::Internal);
        assert_eq!(on(made, |_, _| Ok(())), ErrorCode::Internal);
        free(made);
    }

    #[test]
    fn what_is_null_is_refused() {
        let code = on(ptr::null_mut::<Counter>(), |_, _| Ok(()));
        assert_eq!(code, ErrorCode::InvalidArgument);
        let code = give::<Counter>(ptr::null_mut(), || Ok(Counter(Object::new(7))));
        assert_eq!(code, ErrorCode::InvalidArgument);
        assert!(given::<u32>(ptr::null()).is_err());
        assert_eq!(Text::NONE.read(), Ok(""));
        free::<Counter>(ptr::null_mut());
    }

    #[test]
    fn a_text_that_is_not_utf8_is_refused() {
        let data = [0xff_u8];
        assert!(Text { data: data.as_ptr().cast(), len: 1 }.read().is_err());
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(voxwire_check_abi(ABI_VERSION), ErrorCode::Unspecified);
        assert_eq!(voxwire_check_abi(ABI_VERSION + 1), ErrorCode::Version);
    }
}
