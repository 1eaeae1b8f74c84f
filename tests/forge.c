/* forge.c MODEL EDITS [SEED] - a forger who knows the format: one field of a trace is changed, every check, link and seal
 * made to fit again, and verifying must find it; in a signed trace also where the field is information only.
 *
 *   trace -> records -> one field changed -> records with a right chain -> vb_trace_verify must not say VB_OK
 *
 * Traces are plain, signed, or held to a grammar. Changes of the information of a trace without a signature must be the only ones that pass.
 */
#include "tests/random.h"
#include "tests/tally.h"
#include "traces/read.h"
#include "verbatim.h"

#include <string.h>
#include <unistd.h>

enum { PROMPT = 6, TOKENS = 24, RECORDS_MOST = 4096, BYTES_MOST = 1 << 16 };

typedef struct {
    vb_trace_file file;
    vb_trace_header header;
    vb_trace_rules rules; /* from 0: none */
    vb_trace_record records[RECORDS_MOST];
    int n;
} trace;

enum { PLAIN, SIGNED, HELD, KINDS }; /* of recordings: the last one with biases and a grammar */

/* What an edit changed, and room for changed bytes. */
typedef struct {
    rng *r;
    char what[128];
    const char *field; /* where it must be found, if it cannot be found anywhere else first */
    int is_information;
    uint8_t room[BYTES_MOST];
} edit;

static char base[64], other[64], key[64], public_key[72];
static vb_err err;

static int must(vb_status s)
{
    if (s < 0) failed("%s", err.text);
    return s >= 0;
}

/* --- the honest trace ------------------------------------------------------------------------------------- */

/* Long enough that no text can end. */
static const char grammar_text[] = "root ::= [a-z ]{300}";
static const vb_bias biases[] = {{70, 1.5f}, {200, -3.0f}};

static int record(vb_model *model, int kind)
{
    vb_grammar *grammar = NULL;
    vb_token ids[PROMPT] = {1, 20, 300, 41, 5, 77};
    vb_session *session = NULL;
    vb_trace *recorder = NULL;
    vb_session_opts room = {.context = 256};
    vb_trace_opts opts = {.top = 3, .parent_at = 3, .parent = {7, 1, 2}, .taps = VB_TAPS_LAYERS, .prompt = "a prompt"};
    opts.sampling = (vb_sampling){.temperature = 0.9f, .top_k = 50, .top_p = 0.95f, .min_p = 0.01f, .repeat = 1.1f, .seed = 5};
    opts.sign = kind == SIGNED ? key : NULL;
    if (kind == HELD && !must(vb_grammar_open_gbnf(&grammar, model, grammar_text, sizeof grammar_text - 1, &err))) return 0;
    opts.grammar = grammar;
    opts.biases = biases;
    opts.n_biases = kind == HELD ? 2 : 0;
    vb_generation how = {.sampling = opts.sampling, .max_tokens = TOKENS, .grammar = grammar, .biases = biases};
    how.n_biases = opts.n_biases;
    unlink(base);
    int ok = must(vb_session_open(&session, model, &room, &err)) && must(vb_session_sync(session, ids, PROMPT, &err)) &&
             must(vb_trace_open(&recorder, base, session, &opts, &err));
    how.trace = recorder;
    ok = ok && must(vb_generate(session, &how, NULL, &err));
    ok = must(vb_trace_close(recorder, &err)) && ok;
    vb_session_close(session);
    vb_grammar_close(grammar);
    return ok;
}

static int read_trace(trace *t)
{
    int more = 1;
    if (!must(vb_trace_file_open(&t->file, base, &err))) return 0;
    t->header = t->file.reader.header;
    t->rules = t->file.reader.rules;
    for (t->n = 0; more && t->n < RECORDS_MOST;) {
        if (!must(vb_trace_next_any(&t->file.reader, &t->records[t->n], &more, &err))) return 0;
        t->n += more;
    }
    return 1;
}

/* --- edits ------------------------------------------------------------------------------------------------ */

static uint32_t another(edit *e, uint32_t value)
{
    switch (rng_word(e->r) % 5) {
    case 0: return value + 1;
    case 1: return value - 1;
    case 2: return value ^ 1u << rng_word(e->r) % 32;
    case 3: return value == 0 ? 1 : 0;
    default: break;
    }
    uint32_t word = rng_word(e->r);
    return word != value ? word : ~value;
}

static void flip(edit *e, void *bytes, size_t n)
{
    size_t bit = rng_word(e->r) % (n * 8);
    ((uint8_t *)bytes)[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void change(edit *e, void *number)
{
    uint32_t value;
    memcpy(&value, number, sizeof value);
    value = another(e, value);
    memcpy(number, &value, sizeof value);
}

/* A bit of it, a byte less or a byte more. */
static void change_text(edit *e, vb_trace_text *text)
{
    if (text->len > 0) memcpy(e->room, text->data, text->len);
    text->data = e->room;
    int how = (int)(rng_word(e->r) % 3);
    if (text->len == 0 || how == 0) e->room[text->len++] = (uint8_t)rng_word(e->r);
    else if (how == 1) text->len--;
    else flip(e, e->room, text->len);
}

static void edit_header(edit *e, vb_trace_header *h)
{
    int i = (int)(rng_word(e->r) % (VB_TRACE_FIELDS + VB_TRACE_TEXTS));
    e->is_information = i >= VB_TRACE_COMPARED;
    if (i >= VB_TRACE_FIELDS) {
        snprintf(e->what, sizeof e->what, "%s", vb_trace_text_name((vb_trace_text_id)(i - VB_TRACE_FIELDS)));
        change_text(e, &h->texts[i - VB_TRACE_FIELDS]);
        return;
    }
    const vb_trace_field *f = &vb_trace_fields[i];
    uint8_t *at = (uint8_t *)h + f->at;
    snprintf(e->what, sizeof e->what, "%s", f->name);
    if (f->kind == VB_TRACE_DIGEST) flip(e, at, 32);
    else if (f->kind == VB_TRACE_U64) flip(e, at, 8);
    else if (f->kind == VB_TRACE_F32 && rng_word(e->r) % 2) flip(e, at, 3); /* a value nearby */
    else change(e, at);
}

static void edit_token(edit *e, vb_trace_token *t)
{
    static const char *const names[] = {"position", "id", "text", "logits", "proof", "top id", "top bits", "n_top", "type"};
    int which = (int)(rng_word(e->r) % 9), at = t->n_top > 0 ? (int)(rng_word(e->r) % (uint32_t)t->n_top) : 0;
    if (!t->chosen && which > 4 && which < 8) which = 1;
    snprintf(e->what, sizeof e->what, "token %d: %s", t->position, names[which]);
    switch (which) {
    case 0: change(e, &t->position); break;
    case 1: change(e, &t->id); break;
    case 2:
        change_text(e, &t->text);
        e->field = "text";
        break;
    case 3:
        flip(e, t->logits, sizeof t->logits);
        e->field = t->chosen ? "logits" : NULL;
        break;
    case 4: flip(e, t->proof, sizeof t->proof); break;
    case 5: change(e, &t->top[at].id); break;
    case 6: change(e, &t->top[at].bits); break;
    case 7: t->n_top += rng_word(e->r) % 2 ? 1 : -1; break;
    default: t->chosen = !t->chosen; break;
    }
}

static void edit_tap(edit *e, vb_trace_tap *tap)
{
    static const char *const names[] = {"position", "layer", "name", "width", "value"};
    int which = (int)(rng_word(e->r) % 5);
    snprintf(e->what, sizeof e->what, "tap %.*s of %d: %s", (int)tap->name.len, (const char *)tap->name.data, tap->position,
             names[which]);
    e->field = "tap ";
    switch (which) {
    case 0: change(e, &tap->position); break;
    case 1: change(e, &tap->layer); break;
    case 2: change_text(e, &tap->name); break;
    case 3: tap->width--; break;
    default:
        memcpy(e->room, tap->values, (size_t)tap->width * 4);
        tap->values = e->room;
        flip(e, e->room, (size_t)tap->width * 4);
        break;
    }
}

static void edit_rules(edit *e, vb_trace_rules *rules)
{
    int which = (int)(rng_word(e->r) % 4);
    snprintf(e->what, sizeof e->what, "rules: %d", which);
    switch (which) {
    case 0: change(e, &rules->from); break;
    case 1: rules->kind = (vb_trace_rule)(((int)rules->kind + 1 + (int)(rng_word(e->r) % 2)) % 3); break;
    case 2: change_text(e, &rules->text); break;
    default:
        memcpy(e->room, rules->biases.data, rules->biases.len);
        rules->biases.data = e->room;
        flip(e, e->room, rules->biases.len);
        break;
    }
}

static void edit_record(edit *e, vb_trace_record *record)
{
    switch (record->type) {
    case VB_TRACE_GIVEN:
    case VB_TRACE_CHOSEN: edit_token(e, &record->as.token); break;
    case VB_TRACE_TAP: edit_tap(e, &record->as.tap); break;
    case VB_TRACE_END:
        snprintf(e->what, sizeof e->what, "the end");
        if (rng_word(e->r) % 2) record->as.end.reason = (vb_trace_reason)((record->as.end.reason + 1) % VB_TRACE_REASONS);
        else change(e, &record->as.end.tokens);
        break;
    case VB_TRACE_SIGNATURE:
        snprintf(e->what, sizeof e->what, "the signature");
        flip(e, &record->as.seal, sizeof record->as.seal);
        break;
    case VB_TRACE_RULES:
    case VB_TRACE_HEADER:
    case VB_TRACE_INFO: break;
    }
}

/* --- the forgery ------------------------------------------------------------------------------------------ */

static void encode(vb_trace_bytes *b, const vb_trace_record *record)
{
    switch (record->type) {
    case VB_TRACE_GIVEN:
    case VB_TRACE_CHOSEN: vb_trace_encode_token(b, &record->as.token); break;
    case VB_TRACE_TAP: vb_trace_encode_tap(b, &record->as.tap); break;
    case VB_TRACE_END: vb_trace_encode_end(b, &record->as.end); break;
    case VB_TRACE_SIGNATURE: vb_trace_encode_seal(b, &record->as.seal); break;
    case VB_TRACE_RULES:
    case VB_TRACE_HEADER:
    case VB_TRACE_INFO: break;
    }
}

/* With the header and the rules of `now`, and one of the records changed. */
static int write_trace(const trace *now, const trace *t, int changed, const vb_trace_record *record)
{
    vb_trace_bytes b = {0};
    vb_trace_encode_head(&b);
    if (t->rules.from > 0) vb_trace_head_rules(&b);
    vb_trace_encode_header(&b, &now->header);
    if (t->rules.from > 0) vb_trace_encode_rules(&b, &now->rules);
    for (int i = 0; i < t->n; i++) encode(&b, i == changed ? record : &t->records[i]);
    FILE *f = fopen(other, "wb");
    int ok = f != NULL && !b.failed && fwrite(b.data, 1, b.len, f) == b.len;
    if (f != NULL) ok = fclose(f) == 0 && ok;
    vb_trace_bytes_free(&b);
    if (!ok) failed("%s: cannot write", other);
    return ok;
}

/* Half of the edits go to the header, of the others few to taps, of which there are many. */
static int choose(rng *r, const trace *t)
{
    if (rng_word(r) % 2) return -1;
    for (;;) {
        int i = (int)(rng_word(r) % (uint32_t)t->n);
        if (t->records[i].type != VB_TRACE_TAP || rng_word(r) % 4 == 0) return i;
    }
}

static void forge(rng *r, const trace *t, vb_model *model, int is_signed)
{
    static edit e;
    static trace now;
    now.header = t->header;
    now.rules = t->rules;
    int changed = choose(r, t);
    vb_trace_record record = t->records[changed < 0 ? 0 : changed];
    vb_trace_verify_opts how = {.opened = model, .sample = rng_word(r) % 4 == 0 ? 1 : 0};
    vb_verified v;
    e.r = r;
    e.is_information = 0;
    e.field = NULL;
    if (changed < 0 && t->rules.from > 0 && rng_word(r) % 2) edit_rules(&e, &now.rules);
    else if (changed < 0) edit_header(&e, &now.header);
    else edit_record(&e, &record);
    if (!write_trace(&now, t, changed, &record)) return;
    vb_status s = vb_trace_verify(other, &how, NULL, &v, &err);
    int passes = e.is_information && !is_signed;
    int named = e.field == NULL || s != VB_E_DIFFERS || how.sample > 0 || strncmp(v.diff.field, e.field, strlen(e.field)) == 0;
    if ((s == VB_OK) == passes && named) passed();
    else failed("%s%s changed: %s", is_signed ? "signed: " : "", e.what, s == VB_OK ? "verified" : err.text);
}

/* The trace as it is, and as the forger writes it without any change. */
static void control(const trace *t, vb_model *model, int is_signed)
{
    vb_verified v;
    uint8_t signer[32];
    vb_trace_verify_opts how = {.opened = model};
    if (is_signed && must(vb_trace_public_key(public_key, signer, &err))) how.signer = signer;
    if (!must(vb_trace_verify(base, &how, NULL, &v, &err))) return;
    if (v.chosen == TOKENS && v.taps > 0 && v.is_signed == is_signed) passed();
    else failed("%d chosen, %d taps, signed %d", (int)v.chosen, (int)v.taps, v.is_signed);
    if (write_trace(t, t, -1, NULL) && must(vb_trace_verify(other, &how, NULL, NULL, &err))) passed();
    signer[0] ^= 1;
    how.signer = signer;
    if (vb_trace_verify(base, &how, NULL, &v, &err) == VB_E_DIFFERS && strcmp(v.diff.field, "signer") == 0) passed();
    else failed("another signer was accepted");
}

int main(int argc, char **argv)
{
    static trace t;
    vb_model *model = NULL;
    int edits = argc > 2 ? atoi(argv[2]) : 1000;
    rng r = {argc > 3 ? strtoull(argv[3], NULL, 10) * 2 + 1 : 0x9e3779b97f4a7c15u};
    snprintf(base, sizeof base, "/tmp/verbatim-forge-%d.trace", (int)getpid());
    snprintf(other, sizeof other, "/tmp/verbatim-forge-%d.new", (int)getpid());
    snprintf(key, sizeof key, "/tmp/verbatim-forge-%d.key", (int)getpid());
    snprintf(public_key, sizeof public_key, "%s.pub", key);
    vb_model_opts opts = {.threads = 1};
    if (argc < 2 || !must(vb_model_open(&model, argv[1], &opts, &err)) || !must(vb_trace_keygen(key, &err))) return 1;
    for (int kind = 0; kind < KINDS; kind++) {
        if (!record(model, kind) || !read_trace(&t)) break;
        control(&t, model, kind == SIGNED);
        for (int i = 0; i < edits / KINDS; i++) forge(&r, &t, model, kind == SIGNED);
        vb_trace_file_close(&t.file);
    }
    vb_model_close(model);
    unlink(base);
    unlink(other);
    unlink(key);
    unlink(public_key);
    return verdict();
}
