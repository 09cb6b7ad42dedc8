//! Frames on the wire.

use longshore_core::limits::{ENVELOPE_BYTES_MAX, SCRIPT_JOBS_MAX};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version of the protocol; owner and client must have the same.
pub(super) const VERSION: u8 = 1;

/// Largest frame: a whole call of the largest jobs, and some room.
const FRAME_BYTES_MAX: usize = SCRIPT_JOBS_MAX * ENVELOPE_BYTES_MAX + 16 * 1024 * 1024;
/// How much is made room for before any of it has come.
const ROOM_BYTES: usize = 64 * 1024;

/// Why a frame cannot travel.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("{bytes} bytes are over the limit of {FRAME_BYTES_MAX} of one call; send fewer jobs at once")]
    TooLarge { bytes: usize },
    #[error("the other side speaks version {0} of the socket's protocol, not {VERSION}; run the same build")]
    Version(u8),
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
}

/// Encodes a frame with its head.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 5];
    rmp_serde::encode::write_named(&mut frame, value)
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    let bytes = frame.len() - 4;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_BYTES_MAX);
    let length = length.ok_or(FrameError::TooLarge { bytes })?;
    if let Some((head, rest)) = frame.split_first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
        if let Some(version) = rest.first_mut() {
            *version = VERSION;
        }
    }
    Ok(frame)
}

pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), FrameError> {
    to.write_all(frame).await?;
    Ok(to.flush().await?)
}

/// Reads the next frame; `None` when the other side has ended between two frames. Not cancel-safe.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, FrameError> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let bytes = u32::from_be_bytes(head) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    // The length is a claim: room is made as the bytes come.
    let mut body = Vec::with_capacity(bytes.min(ROOM_BYTES));
    let came = from.take(bytes as u64).read_to_end(&mut body).await?;
    if came < bytes {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    match body.split_first() {
        Some((&VERSION, value)) => super::super::stored::decode("frame", value)
            .map(Some)
            .map_err(|error| FrameError::Malformed(error.to_string())),
        Some((version, _)) => Err(FrameError::Version(*version)),
        None => Err(FrameError::Malformed("it is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_reads_back() {
        let frame = encode(&("hello", 7_u64)).unwrap();
        let mut wire = frame.as_slice();
        assert_eq!(
            read::<(String, u64)>(&mut wire).await.unwrap(),
            Some(("hello".to_owned(), 7))
        );
        assert_eq!(read::<(String, u64)>(&mut wire).await.unwrap(), None);
    }

    #[tokio::test]
    async fn strange_frames_are_refused() {
        let mut other = encode(&1_u8).unwrap();
        other[4] = 9;
        assert!(matches!(
            read::<u8>(&mut other.as_slice()).await,
            Err(FrameError::Version(9))
        ));
        let huge = [0xff; 8];
        assert!(matches!(
            read::<u8>(&mut huge.as_slice()).await,
            Err(FrameError::TooLarge { .. })
        ));
        let cut = encode(&"a longer text").unwrap();
        assert!(matches!(
            read::<String>(&mut &cut[..9]).await,
            Err(FrameError::Io(_))
        ));
        let garbage = [0, 0, 0, 3, VERSION, 0xc1, 0xc1];
        assert!(matches!(
            read::<u8>(&mut garbage.as_slice()).await,
            Err(FrameError::Malformed(_))
        ));
    }
}
