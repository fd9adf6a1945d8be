//! An object's bytes to UTF-8 text: whatever it is packed in, and whatever charset it is written in.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::charset::{Charset, SAMPLE_BYTES, Transcoder, guess};
use crate::error::Result;
use crate::inflate::{Compression, Inflater, MAGIC_BYTES};
use crate::plan::Packing;

/// Between the object's body and the decoder. Plain UTF-8 goes through as it came.
pub(super) struct Unpacker {
    packing: Packing,
    window_bytes_max: usize,
    stage: Stage,
    /// What is ready for the decoder.
    ready: VecDeque<Bytes>,
    is_finished: bool,
    is_compressed: bool,
    charset: Option<Charset>,
    /// Bytes of text that an earlier load has done.
    skip_bytes: u64,
}

enum Stage {
    /// The first bytes, until they say what the object is packed in.
    Head(BytesMut),
    /// Text, until it says its charset; then nothing, or what makes it UTF-8.
    Text { inflater: Option<Box<Inflater>>, sample: Option<BytesMut>, transcoder: Option<Box<Transcoder>> },
}

impl Unpacker {
    pub(super) fn new(packing: Packing, window_bytes_max: usize) -> Self {
        Self {
            packing,
            window_bytes_max,
            stage: Stage::Head(BytesMut::new()),
            ready: VecDeque::new(),
            is_finished: false,
            is_compressed: false,
            charset: None,
            skip_bytes: 0,
        }
    }

    /// The same from the middle of plain UTF-8 on.
    pub(super) fn plain() -> Self {
        let stage = Stage::Text { inflater: None, sample: None, transcoder: None };
        Self { stage, charset: Some(Charset::UTF_8), ..Self::new(Packing::default(), 0) }
    }

    /// The same for an object that is read from its beginning, but was loaded up to byte `offset` of its text.
    pub(super) fn skipping(self, offset: u64) -> Self {
        Self { skip_bytes: offset, ..self }
    }

    /// Whether the object is compressed, as far as it is known.
    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Whether the object's bytes are its text's, so that it can be opened in the middle.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_compressed && self.charset.is_none_or(Charset::is_utf_8)
    }

    /// The charset, once it is known and other than UTF-8.
    pub(super) fn charset(&self) -> Option<Charset> {
        self.charset.filter(|charset| !charset.is_utf_8())
    }

    /// Whether the charset was told by the bytes alone.
    pub(super) fn is_guessed(&self) -> bool {
        self.packing.charset.is_none()
    }

    /// Gives the next chunk of the body, once [`Unpacker::pull`] has nothing more.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<()> {
        if let Stage::Head(head) = &mut self.stage {
            head.extend_from_slice(&chunk);
            if head.len() < MAGIC_BYTES {
                return Ok(());
            }
            return self.open();
        }
        self.take(chunk);
        Ok(())
    }

    /// Says that no chunk will follow.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.is_finished = true;
        if matches!(self.stage, Stage::Head(_)) {
            self.open()?;
        }
        if let Stage::Text { inflater: Some(inflater), .. } = &mut self.stage {
            inflater.finish();
        }
        Ok(())
    }

    /// The next text; `None` when another chunk is needed, or at the end.
    pub(super) fn pull(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(mut text) = self.ready.pop_front() {
                let passed = self.skip_bytes.min(text.len() as u64);
                self.skip_bytes -= passed;
                let _ = text.split_to(usize::try_from(passed).unwrap_or(text.len()));
                if text.is_empty() {
                    continue;
                }
                return Ok(Some(text));
            }
            let Stage::Text { inflater, .. } = &mut self.stage else { return Ok(None) };
            match inflater.as_mut().map(|inflater| inflater.pull()).transpose()?.flatten() {
                Some(piece) => self.read(piece),
                None if self.is_finished => {
                    if !self.end() {
                        return Ok(None);
                    }
                }
                None => return Ok(None),
            }
        }
    }

    /// The first bytes are there.
    fn open(&mut self) -> Result<()> {
        let Stage::Head(head) = &mut self.stage else { return Ok(()) };
        let head = std::mem::take(head).freeze();
        let compression = match self.packing.compression {
            Some(said) => said,
            None => Compression::of(&head)?,
        };
        self.is_compressed = compression.is_some();
        self.charset = self.packing.charset;
        let inflater = compression.map(|compression| Inflater::new(compression, self.window_bytes_max));
        let transcoder = self.charset.filter(|charset| !charset.is_utf_8()).map(Transcoder::new);
        self.stage = Stage::Text {
            inflater: inflater.transpose()?.map(Box::new),
            sample: self.charset.is_none().then(BytesMut::new),
            transcoder: transcoder.map(Box::new),
        };
        self.take(head);
        Ok(())
    }

    fn take(&mut self, chunk: Bytes) {
        let Stage::Text { inflater, .. } = &mut self.stage else { return };
        match inflater {
            Some(inflater) => inflater.push(chunk),
            None => self.read(chunk),
        }
    }

    /// Plain bytes, of whatever charset.
    fn read(&mut self, piece: Bytes) {
        let Stage::Text { sample, transcoder, .. } = &mut self.stage else { return };
        if let Some(sample) = sample {
            sample.extend_from_slice(&piece);
            if sample.len() >= SAMPLE_BYTES {
                self.decide(false);
            }
            return;
        }
        match transcoder {
            None => self.ready.push_back(piece),
            Some(transcoder) => {
                let mut text = Vec::with_capacity(piece.len() * 2);
                transcoder.decode(&piece, false, &mut text);
                self.ready.push_back(text.into());
            }
        }
    }

    /// The sample is there: it says its charset.
    fn decide(&mut self, is_whole: bool) {
        let Stage::Text { sample, transcoder, .. } = &mut self.stage else { return };
        let Some(bytes) = sample.take() else { return };
        let charset = guess(&bytes, is_whole);
        self.charset = Some(charset);
        if !charset.is_utf_8() {
            *transcoder = Some(Box::new(Transcoder::new(charset)));
        }
        self.read(bytes.freeze());
    }

    /// Whatever waits for more that will not come; false when nothing does.
    fn end(&mut self) -> bool {
        let Stage::Text { sample, transcoder, .. } = &mut self.stage else { return false };
        if sample.is_some() {
            self.decide(true);
            return true;
        }
        let Some(mut transcoder) = transcoder.take() else { return false };
        let mut text = Vec::new();
        transcoder.decode(b"", true, &mut text);
        self.ready.push_back(text.into());
        true
    }
}
