//! What the pixels say: the value of one, and how often each value comes.

use framebus::{ImageView, PixelFormat};

/// One channel of a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// `R`, `G`, `B`, `A`, `Y`, `U`, `V`, `grey`, or `depth`.
    pub channel: &'static str,
    /// Counts, as they are in the frame; metres for depth.
    pub value: f64,
}

/// How often the values of a channel come.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// As in [`Reading`].
    pub channel: &'static str,
    /// Where the first bin begins.
    pub low: f64,
    /// Where the last bin ends.
    pub high: f64,
    /// Pixels a bin, from low to high; of a grid of pixels, where the frame is large.
    pub bins: Vec<u32>,
}

const BINS: usize = 256;

/// Most pixels that a histogram looks at.
const MOST_PIXELS: usize = 1 << 17;

/// The value of pixel (`x`, `y`), a reading a channel, as it is in the frame: yuv stays yuv, and a mosaic has one colour.
/// `None` outside of the image.
pub fn pixel(view: ImageView<'_>, x: u32, y: u32) -> Option<Vec<Reading>> {
    let shape = view.shape();
    (x < shape.width() && y < shape.height()).then(|| read(view, shape.format(), x as usize, y as usize))
}

fn read(view: ImageView<'_>, format: PixelFormat, x: usize, y: usize) -> Vec<Reading> {
    use PixelFormat as F;
    let row = view.row(0, y);
    let named = |channels: &[&'static str], at: usize| {
        let channels = channels.iter().zip(&row[at..]);
        channels.map(|(channel, &value)| Reading { channel, value: value.into() }).collect()
    };
    let sixteen = |channel| vec![Reading { channel, value: u16::from_ne_bytes([row[2 * x], row[2 * x + 1]]).into() }];
    let yuv = |y: u8, u: u8, v: u8| {
        [("Y", y), ("U", u), ("V", v)].map(|(channel, value)| Reading { channel, value: value.into() }).to_vec()
    };
    match format {
        F::Mono8 => named(&["grey"], x),
        F::Mono16 => sixteen("grey"),
        F::Rgb8 => named(&["R", "G", "B"], 3 * x),
        F::Bgr8 => named(&["B", "G", "R"], 3 * x),
        F::Rgba8 => named(&["R", "G", "B", "A"], 4 * x),
        F::Bgra8 => named(&["B", "G", "R", "A"], 4 * x),
        F::Yuyv => yuv(row[2 * x], row[x / 2 * 4 + 1], row[x / 2 * 4 + 3]),
        F::Nv12 => yuv(row[x], view.row(1, y / 2)[x / 2 * 2], view.row(1, y / 2)[x / 2 * 2 + 1]),
        F::I420 => yuv(row[x], view.row(1, y / 2)[x / 2], view.row(2, y / 2)[x / 2]),
        F::DepthF32 => {
            let metres = f32::from_ne_bytes([row[4 * x], row[4 * x + 1], row[4 * x + 2], row[4 * x + 3]]);
            vec![Reading { channel: "depth", value: metres.into() }]
        }
        F::BayerRggb8 | F::BayerBggr8 | F::BayerGbrg8 | F::BayerGrbg8 => named(&[mosaic_channel(format, x, y)], x),
        F::BayerRggb16 | F::BayerBggr16 | F::BayerGbrg16 | F::BayerGrbg16 => sixteen(mosaic_channel(format, x, y)),
    }
}

fn mosaic_channel(format: PixelFormat, x: usize, y: usize) -> &'static str {
    crate::bayer::Order::of(format).map_or("grey", |order| ["R", "G", "B"][order.colour(x, y)])
}

/// A histogram a channel, of 256 bins each: 0 to 255, or what there is of 16 bits and depth.
pub fn histogram(view: ImageView<'_>) -> Vec<Channel> {
    let shape = view.shape();
    let (width, height) = (shape.width() as usize, shape.height() as usize);
    let step = (1..).find(|step| (width / step) * (height / step) <= MOST_PIXELS).unwrap_or(1);
    // An odd step meets all colours of a mosaic.
    let step = step | 1;
    let mut values: Vec<(&'static str, Vec<f64>)> = Vec::new();
    for y in (0..height).step_by(step) {
        for x in (0..width).step_by(step) {
            for Reading { channel, value } in read(view, shape.format(), x, y) {
                match values.iter_mut().find(|(known, _)| *known == channel) {
                    Some((_, values)) => values.push(value),
                    None => values.push((channel, vec![value])),
                }
            }
        }
    }
    values.sort_by_key(|(channel, _)| "RGBAYUV".find(channel));
    values.into_iter().map(|(channel, values)| bin(channel, &values, shape.format())).collect()
}

fn bin(channel: &'static str, values: &[f64], format: PixelFormat) -> Channel {
    let (low, high) = match format {
        PixelFormat::DepthF32 => {
            let distances = values.iter().filter(|metres| metres.is_finite() && **metres > 0.0);
            distances
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &metres| (low.min(metres), high.max(metres)))
        }
        _ if format.sample_bytes() == 2 => (0.0, (values.iter().fold(255.0_f64, |high, &value| high.max(value)) + 1.0)),
        _ => (0.0, 256.0),
    };
    let (low, high) = if high > low {
        (low, high)
    } else if low.is_finite() {
        (low, low + 1.0)
    } else {
        (0.0, 1.0)
    };
    let mut bins = vec![0; BINS];
    for &value in values.iter().filter(|value| value.is_finite() && (low..=high).contains(*value)) {
        bins[(((value - low) / (high - low) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    Channel { channel, low, high, bins }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::ImageShape;

    fn readings(shape: ImageShape, bytes: &[u8], x: u32, y: u32) -> Vec<(&'static str, f64)> {
        let readings = pixel(ImageView::new(shape, bytes).unwrap(), x, y).unwrap();
        readings.into_iter().map(|reading| (reading.channel, reading.value)).collect()
    }

    #[test]
    fn a_pixel_has_the_values_of_the_frame() {
        let counting = |format| {
            let shape = ImageShape::new(4, 2, format).unwrap();
            (shape, (0..shape.frame_bytes()).map(|byte| byte as u8).collect::<Vec<_>>())
        };
        let (shape, bytes) = counting(PixelFormat::Bgr8);
        assert_eq!(readings(shape, &bytes, 1, 1), [("B", 15.0), ("G", 16.0), ("R", 17.0)]);
        let (shape, bytes) = counting(PixelFormat::Yuyv);
        assert_eq!(readings(shape, &bytes, 3, 0), [("Y", 6.0), ("U", 5.0), ("V", 7.0)]);
        let (shape, bytes) = counting(PixelFormat::Nv12);
        assert_eq!(readings(shape, &bytes, 3, 1), [("Y", 7.0), ("U", 10.0), ("V", 11.0)]);
        let (shape, bytes) = counting(PixelFormat::I420);
        assert_eq!(readings(shape, &bytes, 3, 1), [("Y", 7.0), ("U", 9.0), ("V", 11.0)]);
        let (shape, bytes) = counting(PixelFormat::BayerGrbg8);
        assert_eq!(readings(shape, &bytes, 1, 0), [("R", 1.0)]);
        let shape = ImageShape::new(1, 1, PixelFormat::DepthF32).unwrap();
        assert_eq!(readings(shape, &2.5_f32.to_ne_bytes(), 0, 0), [("depth", 2.5)]);
        assert_eq!(pixel(ImageView::new(shape, &[0; 4]).unwrap(), 1, 0), None);
    }

    #[test]
    fn a_histogram_counts_every_pixel_of_a_small_frame() {
        let shape = ImageShape::new(3, 1, PixelFormat::Rgb8).unwrap();
        let channels = histogram(ImageView::new(shape, &[9, 1, 2, 9, 1, 2, 7, 255, 0]).unwrap());
        assert_eq!(channels.iter().map(|channel| channel.channel).collect::<Vec<_>>(), ["R", "G", "B"]);
        assert_eq!((channels[0].bins[9], channels[0].bins[7], channels[1].bins[255]), (2, 1, 1));
        assert!(channels.iter().all(|channel| channel.bins.iter().sum::<u32>() == 3));
    }

    #[test]
    fn deep_values_are_spread_over_what_is_there() {
        let shape = ImageShape::new(4, 1, PixelFormat::DepthF32).unwrap();
        let bytes: Vec<u8> = [1.0_f32, 3.0, 0.0, f32::NAN].iter().flat_map(|metres| metres.to_ne_bytes()).collect();
        let channels = histogram(ImageView::new(shape, &bytes).unwrap());
        assert_eq!((channels[0].low, channels[0].high), (1.0, 3.0));
        assert_eq!((channels[0].bins[0], channels[0].bins[255]), (1, 1));
        let large = ImageShape::new(1920, 1080, PixelFormat::Mono16).unwrap();
        let channels = histogram(ImageView::new(large, &vec![1; large.frame_bytes()]).unwrap());
        let pixels: u32 = channels[0].bins.iter().sum();
        assert!((10_000..=1 << 17).contains(&pixels), "{pixels}");
        assert_eq!((channels[0].high, channels[0].bins[127]), (258.0, 0));
        assert_eq!(channels[0].bins[255], pixels, "257 of 258");
    }
}
