/* chat.c - a conversation on a terminal: libedit reads the lines, the prompt sign and all talk go to stderr, answers
 * alone to stdout.
 *
 *   line -> messages + user -> tokens -> session (keeps the common prefix) -> answer -> messages + assistant
 *
 * Ctrl-C at the prompt drops the line, during an answer ends the answer; Ctrl-D or /bye ends the program.
 */
#include "chat.h"

#include "answer.h"
#include "commands.h"
#include "opening.h"
#include "out.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    vb_session *session, *draft;
    const vb_args *args;
    EditLine *line;
    History *history;
    vb_message *messages; /* content is owned */
    size_t n, cap;
    int answers;
} conversation;

int vb_encode_chat(const vb_model *model, const vb_message *messages, size_t n, vb_ids *out)
{
    vb_err err = {0};
    int64_t count = vb_chat_encode(model, messages, n, NULL, 0, &err);
    if (count < 0) return vb_report((vb_status)count, &err);
    out->ids = calloc((size_t)count + 1, sizeof *out->ids);
    if (out->ids == NULL) return vb_no_memory();
    out->n = out->cap = (size_t)count;
    count = vb_chat_encode(model, messages, n, out->ids, out->cap, &err);
    return count < 0 ? vb_report((vb_status)count, &err) : 0;
}

static int add_message(conversation *chat, const char *role, const char *content)
{
    if (chat->n == chat->cap) {
        size_t cap = 2 * chat->cap + 8;
        vb_message *grown = realloc(chat->messages, cap * sizeof *grown);
        if (grown == NULL) return vb_no_memory();
        chat->messages = grown;
        chat->cap = cap;
    }
    char *copy = strdup(content);
    if (copy == NULL) return vb_no_memory();
    chat->messages[chat->n++] = (vb_message){role, copy};
    return 0;
}

static void drop_messages(conversation *chat, size_t keep)
{
    while (chat->n > keep) free((void *)(uintptr_t)chat->messages[--chat->n].content);
}

static int begin(conversation *chat)
{
    vb_opening opening;
    drop_messages(chat, 0);
    int code = vb_opening_read(&opening, vb_session_model(chat->session), chat->args->system);
    for (size_t i = 0; i < opening.n && code == 0; i++)
        code = add_message(chat, opening.messages[i].role, opening.messages[i].content);
    vb_opening_free(&opening);
    return code;
}

static const char *prompt_sign(EditLine *line)
{
    (void)line;
    return ">>> ";
}

static int open_editor(conversation *chat)
{
    HistEvent event;
    setlocale(LC_CTYPE, "");
    chat->history = history_init();
    chat->line = el_init("verbatim", stdin, stderr, stderr);
    if (chat->history == NULL || chat->line == NULL) return vb_no_memory();
    history(chat->history, &event, H_SETSIZE, 1000);
    history(chat->history, &event, H_SETUNIQUE, 1);
    el_set(chat->line, EL_PROMPT, prompt_sign);
    el_set(chat->line, EL_EDITOR, "emacs");
    el_set(chat->line, EL_HIST, history, chat->history);
    /* Ctrl-C reaches the editor as a character, so that a half-typed line can be dropped without a signal race. */
    el_set(chat->line, EL_SETTY, "-d", "-isig", NULL);
    el_set(chat->line, EL_BIND, "^C", "em-kill-line", NULL);
    el_set(chat->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return 0;
}

/* The path of the next answer's trace: FILE, FILE.2, FILE.3, ... Free it. */
static int next_trace(conversation *chat, char **path)
{
    *path = NULL;
    chat->answers++;
    if (chat->args->trace == NULL) return 0;
    int length = chat->answers == 1 ? asprintf(path, "%s", chat->args->trace)
                                    : asprintf(path, "%s.%d", chat->args->trace, chat->answers);
    return length < 0 ? vb_no_memory() : 0;
}

/* One turn. An answer that could not begin (no room, a trace that cannot be written) takes its question back. */
static int turn(conversation *chat, const char *text)
{
    vb_ids ids = {0};
    vb_turn answer = {.print = 1, .draft = chat->draft};
    char *trace = NULL;
    size_t before = chat->n;
    int code = add_message(chat, "user", text);

    vb_interrupt_clear();
    if (code == 0) code = vb_encode_chat(vb_session_model(chat->session), chat->messages, chat->n, &ids);
    if (code == 0) code = next_trace(chat, &trace);
    if (code == 0) code = vb_turn_make(&answer, chat->session, chat->args, &ids, text, trace);
    if (code == 0 || code == VB_EXIT_INTERRUPTED) {
        fputc('\n', stdout);
        int failed = vb_out_flush();
        vb_turn_say(&answer);
        code = failed ? failed : add_message(chat, "assistant", answer.text.data);
    } else drop_messages(chat, before);
    if (code == VB_EXIT_INPUT) vb_say("note: /clear starts over with an empty conversation");
    free(trace);
    free(answer.text.data);
    free(ids.ids);
    return code;
}

static void say_help(void)
{
    fputs("/bye    end (also Ctrl-D)\n"
          "/clear  forget the conversation\n"
          "/help   this text\n"
          "Ctrl-C stops an answer or drops a line; the arrow keys bring earlier lines back.\n",
          stderr);
}

/* Returns -1 to go on, otherwise the exit code. A question that was refused does not end the conversation. */
static int obey(conversation *chat, const char *text)
{
    if (*text == '\0') return -1;
    if (strcmp(text, "/bye") == 0) return VB_EXIT_OK;
    if (strcmp(text, "/clear") == 0) {
        int code = begin(chat);
        return code == 0 ? -1 : code;
    }
    if (strcmp(text, "/help") == 0 || strcmp(text, "/?") == 0) {
        say_help();
        return -1;
    }
    int code = turn(chat, text);
    return code == 0 || code == VB_EXIT_INPUT || code == VB_EXIT_USAGE ? -1 : code;
}

static int converse(conversation *chat)
{
    HistEvent event;
    for (;;) {
        int n = 0;
        const char *line = el_gets(chat->line, &n);
        if (line == NULL || n <= 0) return VB_EXIT_OK;
        char *text = strndup(line, strcspn(line, "\r\n"));
        if (text == NULL) return vb_no_memory();
        if (*text != '\0') history(chat->history, &event, H_ENTER, text);
        int code = obey(chat, text);
        free(text);
        if (code >= 0) return code;
    }
}

int vb_chat(vb_session *session, vb_session *draft, const vb_args *args)
{
    conversation chat = {.session = session, .draft = draft, .args = args};
    int code = open_editor(&chat);
    if (code == 0) code = begin(&chat);
    if (code == 0) {
        vb_say("a chat; /help explains, /bye or Ctrl-D ends");
        code = converse(&chat);
    }
    drop_messages(&chat, 0);
    free(chat.messages);
    if (chat.line) el_end(chat.line);
    if (chat.history) history_end(chat.history);
    return code;
}
