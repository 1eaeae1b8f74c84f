/* format.h - the bytes of a trace, and the plain structs that they stand for.
 *
 * All numbers are little endian; a float stands as its 32 bits. A file is a head and records, one behind the other:
 *
 *   head    offset size
 *                0    8  "vbtrace\n"
 *                8    4  version of this format: 2, with rules 3 (1 is still read; what it lacks is marked [2])
 *               12   20  zero
 *   record       0    4  n, the payload's length
 *                4    4  type: 1 header, 2 given token, 3 chosen token, 4 end, 5 information, 6 tap [2], 7 signature [2],
 *                        8 rules [3]
 *                8    4  check: the first 4 bytes of the SHA-256 of the 8 bytes before it
 *               12    n  payload
 *             12+n   32  link: the SHA-256 of the 32 bytes before the record and of its bytes 0 .. 12+n
 *
 *   [head] [header .. link] [information .. seal, the same link] [rules .. link] [token .. link] [tap .. link] ...
 *   [end .. link] [signature .. link]
 *
 * What stands before a record is the head or the previous link, so the links form a chain. Information (who ran it
 * where and when) is no part of the performance: that record is sealed by a digest of its own and passes the link on
 * unchanged. So every byte of the file is proved, and still the last link before the end record, which is called the
 * trace's digest, is the same for the same performance, on any machine. The check tells a damaged length from a record
 * that the end of the file cuts off.
 *
 * Whoever changes a record can compute all links behind it anew. What he cannot compute without running the model is a
 * chosen token's proof: a digest of all logits, seeded by the link before the record and so by all that was recorded
 * before. The signature says who stands for the file: it covers the last link and the seal, hence every byte.
 *
 *   header       0    4  arithmetic version            184    8  seed
 *                4    4  arithmetic: 0 int8, 1 f32     192    8  stream
 *                8   32  model SHA-256                 200   32  parent: its link before parent_at, zero: none [2]
 *               40   32  plan digest                   232    4  parent_at: tokens shared with it [2]
 *               72   32  tokenizer digest              236    4  taps: 0 none, 1 layers, 2 all [2]
 *              104   32  template digest, zero: none information, never compared
 *              136    4  context, tokens                 0    8  time of creation, ns since 1970
 *              140    4  KV type: 1 f16, 2 f32, 3 q8_0   8    4  threads
 *              144    4  top: largest logits per token  12       texts, each a length (4) and its bytes:
 *              148   28  7 floats: temperature, top_p,           verbatim's version, player, isa, cpu,
 *                        min_p, typical, repeat,                 model path, name and architecture, prompt
 *                        presence, frequency          n-32   32  seal: the SHA-256 of the 32 bytes before the
 *              176    8  top_k, repeat_last (integers)           record and of its bytes 0 .. 12+n-32
 *   token        0    4  position                       16   16  logits: XXH3-128 of all of them as bits
 *                4    4  id                             32   16  proof: the same, seeded by the first 8 bytes of the
 *                8    4  m, length of the text                   32 bytes before the record [2]
 *               12    4  k                              48  8*k  the k largest: id (4), bits (4)
 *                                                   48+8*k    m  text: the bytes that the token stands for
 *                                                                (a given token has no logits: zeros and k = 0)
 *   rules        0    4  from: position of the first token that the grammar holds
 *                4    4  kind: 0 no grammar, 1 GBNF, 2 JSON Schema
 *                8    4  b, biases
 *               12  8*b  of each: id (4) and bits (4) of what is added to its logit before a choice
 *           12+8*b    m  the grammar's text
 *   tap          0    4  position                       16    m  name of the value
 *                4    4  layer, -1: none              16+m  4*w  the value, floats
 *                8    4  w, floats in the value
 *               12    4  m, length of the name
 *   end          0    4  reason: 0 closed, 1 the last token ends a generation, 2 the context is full
 *                4    4  number of tokens
 *   signature    0   32  Ed25519 public key             32   64  signature of the link before this record and the seal
 *
 * Invariant: header and information come first, in version 3 rules behind them, then tokens whose positions are 0, 1, 2, ... (the first one is given),
 * each with its taps behind it (none unless the header says so, and none of the last token, which nobody evaluated),
 * then at most one end record, and behind that at most a signature. A file without an end record was cut: its writer
 * was killed.
 */
#ifndef VB_TRACES_FORMAT_H
#define VB_TRACES_FORMAT_H
#include "base/err.h"

enum {
    VB_TRACE_FORMAT = 3, /* the newest; VB_TRACE_OLDEST and all after it are read */
    VB_TRACE_PLAIN = 2,  /* written where there are no rules, so that older readers can have it */
    VB_TRACE_OLDEST = 1,
    VB_TRACE_HEAD = 32,   /* bytes before the first record */
    VB_TRACE_PREFIX = 12, /* length, type, check */
    VB_TRACE_LINK = 32,
    VB_TRACE_TOP_MOST = 256,
    VB_TRACE_NAME_MOST = 256,
    VB_TRACE_TOKEN_TEXT_MOST = 1 << 16, /* longer texts are cut by the writer */
    VB_TRACE_TEXT_MOST = 1 << 20,
    VB_TRACE_PAYLOAD_MOST = 1 << 24,
    VB_TRACE_BIASES_MOST = 1 << 16,
};

typedef enum {
    VB_TRACE_HEADER = 1,
    VB_TRACE_GIVEN,
    VB_TRACE_CHOSEN,
    VB_TRACE_END,
    VB_TRACE_INFO,
    VB_TRACE_TAP,
    VB_TRACE_SIGNATURE,
    VB_TRACE_RULES,
} vb_trace_type;
typedef enum { VB_TRACE_CLOSED, VB_TRACE_ENDS, VB_TRACE_FULL, VB_TRACE_REASONS } vb_trace_reason;
typedef enum {
    VB_TRACE_BY,
    VB_TRACE_PLAYER,
    VB_TRACE_ISA,
    VB_TRACE_CPU,
    VB_TRACE_MODEL_PATH,
    VB_TRACE_MODEL_NAME,
    VB_TRACE_MODEL_ARCH,
    VB_TRACE_PROMPT,
    VB_TRACE_TEXTS
} vb_trace_text_id;

/* Bytes that somebody else owns; a decoded record points into the file. */
typedef struct {
    const uint8_t *data;
    size_t len;
} vb_trace_text;

typedef struct {
    int32_t arithmetic_version, arith, context, kv, top, threads;
    uint8_t model[32], plan[32], tokenizer[32], template_[32];
    vb_sampling sampling;
    uint8_t parent[32];
    int32_t parent_at, taps;
    uint64_t created_ns;
    vb_trace_text texts[VB_TRACE_TEXTS];
} vb_trace_header;

typedef struct {
    vb_token id;
    uint32_t bits;
} vb_trace_logit;

typedef struct {
    int chosen;
    int32_t position;
    vb_token id;
    vb_trace_text text;
    uint8_t logits[16], proof[16]; /* proof: zero in version 1 */
    int n_top;
    vb_trace_logit top[VB_TRACE_TOP_MOST];
} vb_trace_token;

/* What choices depend on beside the header's settings: biases, and a grammar that holds the text from a position on. */
typedef enum { VB_TRACE_FREE, VB_TRACE_GBNF, VB_TRACE_SCHEMA } vb_trace_rule;
typedef struct {
    int32_t from;
    vb_trace_rule kind;
    int n_biases;
    vb_trace_text biases, text; /* biases: as they stand in the file */
} vb_trace_rules;

typedef struct {
    int32_t position, layer, width;
    vb_trace_text name;
    const uint8_t *values; /* width floats as they stand in the file, at any address */
} vb_trace_tap;

typedef struct {
    vb_trace_reason reason;
    uint32_t tokens;
} vb_trace_ending;

typedef struct {
    uint8_t key[32], signature[64];
} vb_trace_seal;

typedef struct {
    vb_trace_type type;
    union {
        vb_trace_header header; /* of a header or an information record: its own fields, the others zero */
        vb_trace_token token;
        vb_trace_tap tap;
        vb_trace_ending end;
        vb_trace_seal seal;
        vb_trace_rules rules;
    } as;
} vb_trace_record;

/* The header's numbers and digests, in file order; those that are compared come first. Encoding, decoding, showing
 * and comparing all walk this one table. */
typedef enum { VB_TRACE_I32, VB_TRACE_ARITH, VB_TRACE_KV, VB_TRACE_F32, VB_TRACE_U64, VB_TRACE_DIGEST, VB_TRACE_TAPS } vb_trace_kind;
typedef struct {
    const char *name;
    vb_trace_kind kind;
    size_t at; /* offset in vb_trace_header */
    int since; /* the first version that has it; older files are read as if it were zero */
} vb_trace_field;
enum { VB_TRACE_COMPARED = 23, VB_TRACE_FIELDS = 25 };
extern const vb_trace_field vb_trace_fields[VB_TRACE_FIELDS];
/* A field's value for people: "int8", "0.8 (3f4ccccd)", a digest's digits. */
void vb_trace_field_text(char *buf, size_t cap, const vb_trace_header *header, const vb_trace_field *field);
const char *vb_trace_text_name(vb_trace_text_id id);
const char *vb_trace_reason_name(vb_trace_reason reason);
const char *vb_trace_rule_name(vb_trace_rule kind); /* "gbnf", "schema"; "none" */

/* Growing memory for encoded records. After a failed allocation `failed` stays set and nothing more is added. */
typedef struct {
    uint8_t *data;
    size_t len, cap;
    int failed;
} vb_trace_bytes;
void vb_trace_bytes_free(vb_trace_bytes *bytes);
/* Begins behind a record that is already in a file. */
void vb_trace_bytes_continue(vb_trace_bytes *bytes, const uint8_t link[VB_TRACE_LINK]);

/* Each appends one whole record, link included; the 32 bytes at the end of `bytes` must be the head or the previous
 * link. Of version VB_TRACE_PLAIN, unless rules follow: then the head is told so before anything stands behind it. */
void vb_trace_encode_head(vb_trace_bytes *bytes);
void vb_trace_head_rules(vb_trace_bytes *bytes);
/* Two records: header and information. */
void vb_trace_encode_header(vb_trace_bytes *bytes, const vb_trace_header *header);
void vb_trace_encode_rules(vb_trace_bytes *bytes, const vb_trace_rules *rules);
void vb_trace_encode_token(vb_trace_bytes *bytes, const vb_trace_token *token);
void vb_trace_encode_tap(vb_trace_bytes *bytes, const vb_trace_tap *tap);
void vb_trace_encode_end(vb_trace_bytes *bytes, const vb_trace_ending *end);
void vb_trace_encode_seal(vb_trace_bytes *bytes, const vb_trace_seal *seal);
/* The link that the next record continues: the last 32 bytes; NULL after a failed allocation. */
const uint8_t *vb_trace_bytes_link(const vb_trace_bytes *bytes);

/* Whether `head` (VB_TRACE_HEAD bytes) begins a trace of a version that is read. */
int vb_trace_is_head(const uint8_t *head);
/* The check value of a record's first 8 bytes. */
uint32_t vb_trace_check(const uint8_t record[8]);
uint32_t vb_trace_u32(const uint8_t *bytes);

vb_bias vb_trace_bias(const vb_trace_rules *rules, int i);
/* The payload that stands for n biases; nothing is added if an allocation fails. */
void vb_trace_put_biases(vb_trace_bytes *bytes, const vb_bias *biases, int n);

/* A record's payload as it stands in a file of that version, without a seal. */
typedef struct {
    int version;
    vb_trace_type type;
    const uint8_t *data;
    size_t n;
} vb_trace_payload;
/* To a struct; `what` ("FILE: record 3") begins the error text. */
vb_status vb_trace_decode(vb_trace_record *out, const vb_trace_payload *payload, const char *what, vb_err *err);

#endif
