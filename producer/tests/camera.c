/* A camera for machines that have none: preloaded into a program (LD_PRELOAD), it answers what that asks of the device
 * $CAMERA_DEVICE, which is a file of one line that says how the camera fares:
 *
 *   well      YUYV 64 x 48 with rows of 160 bytes at 15 and 30 Hz, MJPG 128 x 96 at 30 Hz, H264
 *   busy      another program captures
 *   clock     its times are of no known clock
 *   damaged   every second frame is
 *   other     GREY 32 x 24 only, as another camera has it
 *   strange   its colours are of a kind that nobody knows
 *   (no file) it is unplugged
 *
 * A frame of YUYV is filled with its number; a frame of MJPG is the file $CAMERA_JPEG. Of ten numbers, the tenth is left out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 3, BUFFER_BYTES = 64 << 10, YUYV_STRIDE = 160, PERIOD_NS = 1000000000 / 30 };

static int camera = -1, streaming;
static char opened_as[16];
static struct v4l2_pix_format format = { .width = 64, .height = 48, .pixelformat = V4L2_PIX_FMT_YUYV,
                                         .field = V4L2_FIELD_NONE };
static struct v4l2_fract interval = { 1, 15 };
static unsigned char *buffers[BUFFERS];
static unsigned queue[BUFFERS], queued, number;
static long long next_ns;

/* How the camera fares. */
static const char *fares(void) {
    static char word[16];
    FILE *file = fopen(getenv("CAMERA_DEVICE"), "r");
    if (!file) return "gone";
    word[0] = 0;
    if (fscanf(file, "%15s", word) != 1) word[0] = 0;
    fclose(file);
    return word;
}

static int fails(int error) {
    errno = error;
    return -1;
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int open(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    const char *device = getenv("CAMERA_DEVICE");
    if (!device || strcmp(path, device) != 0) {
        va_list more;
        va_start(more, flags);
        int mode = va_arg(more, int);
        va_end(more);
        return real(path, flags, mode);
    }
    const char *now = fares();
    if (strcmp(now, "gone") == 0) return fails(ENOENT);
    snprintf(opened_as, sizeof opened_as, "%s", now);
    camera = memfd_create("camera", MFD_CLOEXEC);
    if (ftruncate(camera, BUFFERS * BUFFER_BYTES) != 0) return -1;
    streaming = 0;
    return camera;
}

int close(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "close");
    if (fd == camera) camera = -1;
    return real(fd);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    static int (*real)(struct pollfd *, nfds_t, int);
    if (!real) real = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
    if (count != 1 || fds[0].fd != camera) return real(fds, count, timeout);
    if (!streaming || strcmp(fares(), "gone") == 0) {
        fds[0].revents = POLLERR;
        return 1;
    }
    long long left_ns = next_ns - now_ns(), most_ns = timeout < 0 ? left_ns : timeout * 1000000LL;
    int is_ready = left_ns <= most_ns;
    long long sleep_ns = is_ready ? left_ns : most_ns;
    if (sleep_ns > 0) {
        struct timespec pause = { sleep_ns / 1000000000, sleep_ns % 1000000000 };
        nanosleep(&pause, NULL);
    }
    fds[0].revents = is_ready ? POLLIN : 0;
    return is_ready;
}

static int set_format(struct v4l2_pix_format *asked) {
    if (strcmp(opened_as, "busy") == 0) return fails(EBUSY);
    format.width = asked->width;
    format.height = asked->height;
    format.pixelformat = asked->pixelformat;
    format.bytesperline = asked->pixelformat == V4L2_PIX_FMT_YUYV ? YUYV_STRIDE : 0;
    format.sizeimage = BUFFER_BYTES;
    *asked = format;
    return 0;
}

/* Fills the buffer that was queued first. */
static int dequeue(struct v4l2_buffer *buffer) {
    if (!queued) return fails(EAGAIN);
    unsigned index = queue[0];
    memmove(queue, queue + 1, --queued * sizeof *queue);
    if (++number % 10 == 0) number++;
    unsigned bytes = 0;
    if (!buffers[index])
        buffers[index] = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, camera, index * BUFFER_BYTES);
    if (format.pixelformat == V4L2_PIX_FMT_MJPEG) {
        FILE *file = fopen(getenv("CAMERA_JPEG"), "r");
        bytes = fread(buffers[index], 1, BUFFER_BYTES, file);
        fclose(file);
    } else {
        bytes = YUYV_STRIDE * format.height;
        memset(buffers[index], 0xee, bytes);
        for (unsigned row = 0; row < format.height; row++)
            memset(buffers[index] + row * YUYV_STRIDE, number, format.width * 2);
    }
    /* Taken 5 ms ago. */
    long long taken_ns = next_ns - 5000000;
    next_ns += PERIOD_NS;
    buffer->index = index;
    buffer->bytesused = bytes;
    buffer->sequence = number;
    buffer->field = V4L2_FIELD_NONE;
    buffer->timestamp.tv_sec = taken_ns / 1000000000;
    buffer->timestamp.tv_usec = taken_ns % 1000000000 / 1000;
    buffer->flags = strcmp(opened_as, "clock") == 0 ? V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    if (strcmp(opened_as, "damaged") == 0 && number % 2) buffer->flags |= V4L2_BUF_FLAG_ERROR;
    return 0;
}

static int answer(unsigned long request, void *argument) {
    if (strcmp(fares(), "gone") == 0) return fails(ENODEV);
    int is_other = strcmp(opened_as, "other") == 0;
    switch (request) {
    case VIDIOC_ENUM_FMT: {
        static const unsigned formats[] = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_H264 };
        struct v4l2_fmtdesc *about = argument;
        if (about->index >= (is_other ? 1 : 3)) return fails(EINVAL);
        about->pixelformat = is_other ? V4L2_PIX_FMT_GREY : formats[about->index];
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *size = argument;
        int is_small = size->pixel_format == V4L2_PIX_FMT_YUYV;
        if (size->index > 0) return fails(EINVAL);
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete.width = is_other ? 32 : is_small ? 64 : 128;
        size->discrete.height = is_other ? 24 : is_small ? 48 : 96;
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *listed = argument;
        int is_small = listed->pixel_format == V4L2_PIX_FMT_YUYV;
        if (listed->index > (unsigned)is_small) return fails(EINVAL);
        listed->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        listed->discrete.numerator = 1;
        listed->discrete.denominator = is_small && listed->index == 0 ? 15 : 30;
        return 0;
    }
    case VIDIOC_G_FMT:
        format.colorspace = strcmp(opened_as, "strange") == 0 ? 99 : 0;
        ((struct v4l2_format *)argument)->fmt.pix = format;
        return 0;
    case VIDIOC_S_FMT:
        return set_format(&((struct v4l2_format *)argument)->fmt.pix);
    case VIDIOC_S_PARM:
        interval = ((struct v4l2_streamparm *)argument)->parm.capture.timeperframe;
        return 0;
    case VIDIOC_G_PARM:
        ((struct v4l2_streamparm *)argument)->parm.capture.timeperframe = interval;
        return 0;
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        if (wanted->count > BUFFERS) wanted->count = BUFFERS;
        memset(buffers, 0, sizeof buffers);
        queued = 0;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        buffer->length = BUFFER_BYTES;
        buffer->m.offset = buffer->index * BUFFER_BYTES;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *buffer = argument;
        if (buffer->index >= BUFFERS) return fails(EINVAL);
        for (unsigned at = 0; at < queued; at++)
            if (queue[at] == buffer->index) return fails(EINVAL);
        queue[queued++] = buffer->index;
        return 0;
    }
    case VIDIOC_DQBUF:
        return dequeue(argument);
    case VIDIOC_STREAMON:
        streaming = 1;
        next_ns = now_ns() + PERIOD_NS;
        return 0;
    case VIDIOC_STREAMOFF:
        streaming = 0;
        queued = 0;
        return 0;
    default:
        return fails(ENOTTY);
    }
}

/* The bindings call ioctl this way. */
long syscall(long call, ...) {
    static long (*real)(long, ...);
    if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long arguments[6];
    va_list more;
    va_start(more, call);
    for (int at = 0; at < 6; at++) arguments[at] = va_arg(more, long);
    va_end(more);
    if (call == SYS_ioctl && camera >= 0 && (int)arguments[0] == camera)
        return answer((unsigned)arguments[1], (void *)arguments[2]);
    return real(call, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
