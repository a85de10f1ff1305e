use super::*;
use PixelFormat as F;

fn shape(format: F) -> ImageShape {
    ImageShape::new(6, 4, format).unwrap()
}

/// Takes a few bytes at a time, and is interrupted now and then, as a pipe may be.
#[derive(Default)]
struct Reluctant {
    taken: Vec<u8>,
    calls: usize,
}

impl Write for Reluctant {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(ErrorKind::Interrupted.into());
        }
        let count = bytes.len().min(7);
        self.taken.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn headers_say_size_rate_and_colours() {
    let header = |format, rate| y4m_header(&shape(format), rate).unwrap();
    assert_eq!(header(F::I420, Rate::new(30000, 1001)), "YUV4MPEG2 W6 H4 F30000:1001 Ip A0:0 C420jpeg\n");
    assert_eq!(header(F::Mono8, None), "YUV4MPEG2 W6 H4 F25:1 Ip A0:0 Cmono\n");
    assert_eq!(header(F::Mono16, Rate::new(60, 1)), "YUV4MPEG2 W6 H4 F60:1 Ip A0:0 Cmono16\n");
    assert_eq!(header(F::Bgra8, None), header(F::I420, None));
}

#[test]
fn formats_that_y4m_lacks_are_refused_with_the_line_that_does_it() {
    let error = y4m_header(&shape(F::BayerGrbg8), Rate::new(30, 1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "can not pipe images of 6 × 4 bayer_grbg8 as y4m, which has no such pixels: use --pipe raw, and read it with \
         ffmpeg -f rawvideo -pix_fmt bayer_grbg8 -s 6x4 -framerate 30/1 -i -"
    );
    for format in F::all() {
        let taken = I420::takes(format) || [F::Mono8, F::Mono16, F::I420].contains(&format);
        match y4m_header(&shape(format), None) {
            Ok(_) => assert!(taken, "{format}"),
            Err(error) => {
                assert!(
                    !taken && error.to_string().contains("--pipe raw, and read it with ffmpeg -f rawvideo"),
                    "{error}"
                );
            }
        }
    }
    let mut pipe = Pipe::new(Vec::new(), PipeFormat::Y4m);
    assert!(pipe.write(&[1, 2, 3], None, None).is_err());
    assert!(pipe.out.is_empty());
}

#[test]
fn what_does_not_stay_what_it_is_is_said_once() {
    let said = |format: F, pipe: PipeFormat| -> Vec<Option<String>> {
        let shape = shape(format);
        let bytes = vec![1; shape.frame_bytes()];
        let mut pipe = Pipe::new(Vec::new(), pipe);
        let mut write = || pipe.write(&bytes, ImageView::new(shape, &bytes), Rate::new(30, 1)).unwrap();
        vec![write(), write()]
    };
    for (format, expected) in
        [(F::Mono16, "Cmono16"), (F::Rgb8, "rgb8 is converted to i420"), (F::Yuyv, "yuyv is conv")]
    {
        let said = said(format, PipeFormat::Y4m);
        assert!(said[0].as_ref().unwrap().contains(expected) && said[1].is_none(), "{said:?}");
    }
    assert_eq!(said(F::I420, PipeFormat::Y4m), [None, None]);
    for (format, pixels) in [(F::Mono16, "gray16"), (F::DepthF32, "grayf32"), (F::BayerGbrg16, "bayer_gbrg16")] {
        let said = said(format, PipeFormat::Raw);
        let line = format!("to be read with: ffmpeg -f rawvideo -pix_fmt {pixels}");
        assert!(said[0].as_ref().unwrap().contains(&line) && said[1].is_none(), "{said:?}");
    }
    let mut pipe = Pipe::new(Vec::new(), PipeFormat::Raw);
    let said = pipe.write(b"hello", None, None).unwrap().unwrap();
    assert!(said.contains("nothing between them; the first frame has 5 bytes"), "{said}");
    assert_eq!(pipe.write(b"hello", None, None).unwrap(), None);
}

#[test]
fn padded_rows_come_out_without_padding_however_little_the_reader_takes() {
    for rows in [3, 63, 64, 65, 200] {
        let shape = ImageShape::with_stride(5, rows, F::I420, 9).unwrap();
        let bytes: Vec<u8> = (0..shape.frame_bytes()).map(|at| at as u8).collect();
        let view = ImageView::new(shape, &bytes).unwrap();
        let expected: Vec<u8> = (0..3).flat_map(|plane| view.rows(plane)).flatten().copied().collect();

        let mut pipe = Pipe::new(Reluctant::default(), PipeFormat::Raw);
        pipe.write(&bytes, Some(view), None).unwrap();
        assert_eq!(pipe.out.taken, expected);

        let mut pipe = Pipe::new(Reluctant::default(), PipeFormat::Y4m);
        pipe.write(&bytes, Some(view), Rate::new(10, 1)).unwrap();
        let text = format!("YUV4MPEG2 W5 H{rows} F10:1 Ip A0:0 C420jpeg\nFRAME\n");
        assert_eq!(pipe.out.taken, [text.as_bytes(), &expected].concat());
    }
}

#[test]
fn a_change_of_shape_ends_the_pipe_and_a_change_of_stride_does_not() {
    let frame = |shape: ImageShape| (shape, vec![1; shape.frame_bytes()]);
    let (tight, padded) = (frame(shape(F::Mono8)), frame(ImageShape::with_stride(6, 4, F::Mono8, 8).unwrap()));
    let large = frame(ImageShape::new(8, 4, F::Mono8).unwrap());
    for format in [PipeFormat::Y4m, PipeFormat::Raw] {
        let mut pipe = Pipe::new(Vec::new(), format);
        let mut write = |(shape, bytes): &(ImageShape, Vec<u8>)| pipe.write(bytes, ImageView::new(*shape, bytes), None);
        assert!(write(&tight).unwrap().is_some());
        assert!(write(&padded).unwrap().is_none());
        let error = write(&large).unwrap_err().to_string();
        assert!(error.contains("from images of 6 × 4 mono8 to images of 8 × 4 mono8"), "{error}");
        // The planes of two frames, and what comes before each.
        let header = if format == PipeFormat::Y4m { "YUV4MPEG2 W6 H4 F25:1 Ip A0:0 Cmono\n".len() + 2 * 6 } else { 0 };
        assert_eq!(pipe.out.len(), header + 2 * 24, "nothing of the other shape");
    }
}

#[test]
fn bytes_that_become_images_end_the_pipe_and_the_other_way_round() {
    let image = shape(F::Mono8);
    let bytes = vec![1; image.frame_bytes()];
    for image_first in [false, true] {
        let mut pipe = Pipe::new(Vec::new(), PipeFormat::Raw);
        let view = |is_image: bool| is_image.then(|| ImageView::new(image, &bytes).unwrap());
        pipe.write(&bytes, view(image_first), None).unwrap();
        let error = pipe.write(&bytes, view(!image_first), None).unwrap_err().to_string();
        assert!(error.contains("frames that are no images"), "{error}");
        assert_eq!(pipe.out.len(), bytes.len());
    }
}

#[test]
fn converted_frames_are_as_large_as_the_header_says() {
    for format in F::all().filter(|format| I420::takes(*format)) {
        let shape = ImageShape::new(7, 5, format).unwrap();
        let bytes = vec![128; shape.frame_bytes()];
        let mut pipe = Pipe::new(Vec::new(), PipeFormat::Y4m);
        for _ in 0..2 {
            pipe.write(&bytes, ImageView::new(shape, &bytes), Rate::new(5, 1)).unwrap();
        }
        let header = "YUV4MPEG2 W7 H5 F5:1 Ip A0:0 C420jpeg\n".len();
        assert_eq!(pipe.out.len(), header + 2 * (6 + 7 * 5 + 2 * 4 * 3), "{format}");
    }
}
