/* A USB3 Vision host as small as one can be: libusb's asynchronous transfers and nothing else. Knows no register
 * map: whoever starts it says what to write where. Opens the camera, writes registers, queues the transfers of
 * DEPTH frames, writes more registers, checks every leader, block id and trailer, and prints one JSON object.
 *
 *   bench_client -d VID:PID [-i CONTROL,STREAM] [-e CONTROL,STREAM] -p LEADER,SIZE,COUNT,FINAL,TRAILER
 *                -w ADDRESS=VALUE ... -s ADDRESS=VALUE ... -x ADDRESS=VALUE ...
 *                [-n FRAMES] [-k FRAMES] [-q DEPTH] [-r ADDRESS]
 *
 * -w: written before the transfers are queued, -s: when they are, -x: at the end (32 bit, in order).
 * The rate is that of the clock which says the frames took longer, ours or the camera's (benchmarks/figures.py).
 * -k: frames at the beginning that do not count. -r: read this register all the while and time it.
 * Build: cc -O2 -pthread bench_client.c -lusb-1.0
 */
#define _GNU_SOURCE
#include <libusb-1.0/libusb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WRITES = 64, MAX_PINGS = 200000, PREFIX = 0x43563355, LEADER = 0x4c563355, TRAILER = 0x54563355 };

struct write { uint64_t address; uint32_t value; };
struct frame { struct libusb_transfer **transfers; uint8_t *memory; int broken; };

static libusb_device_handle *camera;
static int control_ep = 1, stream_ep = 0x83, control_if, stream_if = 2;
static size_t leader_size, transfer_size, transfer_count, final_size, trailer_size;
static int wanted = 100, skipped = 10, depth = 3;
static uint64_t next_id, ping_address, first_ns, last_ns;
static long good, bad, gaps, resubmit_errors, seen, in_flight;
static int stopping;
static double *stamps, *pings;
static long ping_count;

static void fail(const char *what, int code)
{
    fprintf(stderr, "bench_client: %s: %s\n", what, code ? libusb_error_name(code) : "unexpected answer");
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint32_t u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint64_t u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }

/* One GenCP command and its acknowledge: WRITEMEM of 4 bytes, or READMEM of 4. Little-endian machines only. */
static uint32_t command(int is_write, uint64_t address, uint32_t value)
{
    static uint16_t id;
    uint8_t packet[24] = {0}, ack[64];
    uint16_t scd = 12, code = is_write ? 0x0802 : 0x0800;
    int n, error;

    if (++id == 0xFFFF)
        id = 1;
    memcpy(packet, &(uint32_t){PREFIX}, 4);
    packet[5] = 0x40;
    memcpy(packet + 6, &code, 2);
    memcpy(packet + 8, &scd, 2);
    memcpy(packet + 10, &id, 2);
    memcpy(packet + 12, &address, 8);
    if (is_write)
        memcpy(packet + 20, &value, 4);
    else
        packet[22] = 4;
    if ((error = libusb_bulk_transfer(camera, control_ep, packet, sizeof packet, &n, 5000)))
        fail("command", error);
    do {
        if ((error = libusb_bulk_transfer(camera, control_ep | 0x80, ack, 16, &n, 5000)))
            fail("acknowledge", error);
    } while (n >= 12 && ack[6] == 0x05 && ack[7] == 0x08); /* PENDING_ACK */
    if (n < 12 || u32(ack) != PREFIX || ack[4] || ack[5] || memcmp(ack + 10, &id, 2)) {
        fprintf(stderr, "bench_client: %s %#llx: status %02x%02x\n", is_write ? "write" : "read",
                (unsigned long long)address, ack[5], ack[4]);
        exit(1);
    }
    return n >= 16 ? u32(ack + 12) : 0;
}

static void write_all(const struct write *writes, int count)
{
    for (int i = 0; i < count; i++)
        command(1, writes[i].address, writes[i].value);
}

static int per_frame(void) { return 2 + transfer_count + !!final_size; }

static void submit(struct frame *frame)
{
    frame->broken = 0;
    for (int i = 0; i < per_frame(); i++) {
        if (libusb_submit_transfer(frame->transfers[i])) {
            resubmit_errors++;
            stopping = 1;
            return;
        }
        in_flight++;
    }
}

/* Transfers complete in the order they were queued; the trailer's tells about its frame. */
static void LIBUSB_CALL completed(struct libusb_transfer *transfer)
{
    struct frame *frame = transfer->user_data;
    int last = per_frame() - 1;

    in_flight--;
    if (transfer->status != LIBUSB_TRANSFER_COMPLETED)
        frame->broken = 1;
    else if (transfer == frame->transfers[0])
        frame->broken |= transfer->actual_length < 52 || u32(transfer->buffer) != LEADER;
    else if (transfer != frame->transfers[last])
        frame->broken |= transfer->actual_length == 0;
    if (stopping || transfer != frame->transfers[last])
        return;
    const uint8_t *leader = frame->transfers[0]->buffer, *trailer = transfer->buffer;
    uint64_t id = u64(leader + 8);
    size_t payload = 0;
    for (int i = 1; i < last; i++)
        payload += frame->transfers[i]->actual_length;
    frame->broken |= transfer->actual_length < 28 || u32(trailer) != TRAILER || u64(trailer + 8) != id ||
                     u64(trailer + 20) != payload || trailer[16] || trailer[17] || id < next_id;
    if (frame->broken) {
        bad++;
    } else {
        gaps += seen > skipped ? id - next_id : 0;
        next_id = id + 1;
        if (seen >= skipped) {
            last_ns = u64(leader + 20);
            if (!good)
                first_ns = last_ns;
            stamps[good++] = now_s();
        }
    }
    seen++;
    if (good >= wanted || bad > wanted)
        stopping = 1;
    else
        submit(frame);
}

static void *ping(void *unused)
{
    (void)unused;
    while (!stopping && ping_count < MAX_PINGS) {
        double begin = now_s();
        command(0, ping_address, 0);
        pings[ping_count++] = now_s() - begin;
        usleep(1000);
    }
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double cpu_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void add(struct write *list, int *count, const char *text)
{
    unsigned long long address;
    unsigned value;
    if (*count >= MAX_WRITES || sscanf(text, "%llx=%x", &address, &value) != 2)
        fail(text, LIBUSB_ERROR_INVALID_PARAM);
    list[(*count)++] = (struct write){address, value};
}

int main(int argc, char **argv)
{
    struct write before[MAX_WRITES], start[MAX_WRITES], end[MAX_WRITES];
    int befores = 0, starts = 0, ends = 0, option, error;
    unsigned vid = 0, pid = 0;

    while ((option = getopt(argc, argv, "d:i:e:p:w:s:x:n:k:q:r:")) != -1)
        switch (option) {
        case 'd': sscanf(optarg, "%x:%x", &vid, &pid); break;
        case 'i': sscanf(optarg, "%d,%d", &control_if, &stream_if); break;
        case 'e': sscanf(optarg, "%i,%i", &control_ep, &stream_ep); break;
        case 'p': sscanf(optarg, "%zu,%zu,%zu,%zu,%zu", &leader_size, &transfer_size, &transfer_count,
                         &final_size, &trailer_size); break;
        case 'w': add(before, &befores, optarg); break;
        case 's': add(start, &starts, optarg); break;
        case 'x': add(end, &ends, optarg); break;
        case 'n': wanted = atoi(optarg); break;
        case 'k': skipped = atoi(optarg); break;
        case 'q': depth = atoi(optarg); break;
        case 'r': ping_address = strtoull(optarg, NULL, 16); break;
        default: return 2;
        }
    if (!trailer_size || wanted < 2 || depth < 1)
        fail("arguments", LIBUSB_ERROR_INVALID_PARAM);
    double began = now_s();
    if ((error = libusb_init(NULL)))
        fail("libusb", error);
    if (!(camera = libusb_open_device_with_vid_pid(NULL, vid, pid)))
        fail("opening the camera", LIBUSB_ERROR_NO_DEVICE);
    if ((error = libusb_claim_interface(camera, control_if)) ||
        (error = libusb_claim_interface(camera, stream_if)))
        fail("claiming", error);
    stamps = calloc(wanted, sizeof *stamps);
    pings = calloc(MAX_PINGS, sizeof *pings);
    write_all(before, befores);
    struct frame *frames = calloc(depth, sizeof *frames);
    size_t payload = transfer_size * transfer_count + final_size;
    for (int f = 0; f < depth; f++) {
        size_t size = leader_size + payload + trailer_size, at = 0;
        frames[f].memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
        memset(frames[f].memory, 1, size);
        frames[f].transfers = calloc(per_frame(), sizeof *frames[f].transfers);
        for (int i = 0; i < per_frame(); i++) {
            size_t length = i == 0 ? leader_size : i == per_frame() - 1 ? trailer_size
                            : i <= (int)transfer_count ? transfer_size : final_size;
            size_t place = i == 0 ? payload : i == per_frame() - 1 ? payload + leader_size : at;
            at += i && i < per_frame() - 1 ? length : 0;
            frames[f].transfers[i] = libusb_alloc_transfer(0);
            libusb_fill_bulk_transfer(frames[f].transfers[i], camera, stream_ep, frames[f].memory + place,
                                      length, completed, &frames[f], 0);
        }
        submit(&frames[f]);
    }
    write_all(start, starts);
    pthread_t pinger;
    if (ping_address)
        pthread_create(&pinger, NULL, ping, NULL);
    double first_s = 0, cpu_begin = 0;
    while (!stopping) {
        struct timeval patience = {10, 0};
        long before_events = seen;
        if ((error = libusb_handle_events_timeout_completed(NULL, &patience, &stopping)))
            fail("events", error);
        if (!first_s && seen)
            first_s = now_s() - began;
        if (seen >= skipped && !cpu_begin)
            cpu_begin = cpu_s(CLOCK_PROCESS_CPUTIME_ID);
        if (seen == before_events && now_s() - (good ? stamps[good - 1] : began) > 20)
            fail("waiting for frames", LIBUSB_ERROR_TIMEOUT);
    }
    double cpu = cpu_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin;
    if (ping_address)
        pthread_join(pinger, NULL);
    write_all(end, ends);
    for (int f = 0; f < depth; f++)
        for (int i = per_frame() - 1; i >= 0; i--)
            libusb_cancel_transfer(frames[f].transfers[i]);
    while (in_flight > 0) {
        struct timeval patience = {1, 0};
        if (libusb_handle_events_timeout_completed(NULL, &patience, NULL))
            break;
    }
    double seconds = good > 1 ? stamps[good - 1] - stamps[0] : 1, sum = 0;
    double camera_s = (last_ns - first_ns) / 1e9;
    double mean = seconds / (good > 1 ? good - 1 : 1);
    for (long i = 1; i < good; i++)
        sum += (stamps[i] - stamps[i - 1] - mean) * (stamps[i] - stamps[i - 1] - mean);
    qsort(pings, ping_count, sizeof *pings, ascending);
    printf("{\"frames\": %ld, \"bad\": %ld, \"gaps\": %ld, \"errors\": %ld, \"seconds\": %.6f, \"fps\": %.4f, "
           "\"variance_s2\": %.9g, \"first_frame_s\": %.4f, \"client_cores\": %.4f, \"pings\": %ld, "
           "\"ping_p50_ms\": %.4f, \"ping_p99_ms\": %.4f}\n",
           good, bad, gaps, resubmit_errors, seconds, (good - 1) / (camera_s > seconds ? camera_s : seconds),
           good > 2 ? sum / (good - 2) : 0.0,
           first_s, cpu / seconds, ping_count, ping_count ? pings[ping_count / 2] * 1e3 : 0.0,
           ping_count ? pings[(long)(ping_count * 0.99)] * 1e3 : 0.0);
    libusb_close(camera);
    libusb_exit(NULL);
    return bad > 0;
}
