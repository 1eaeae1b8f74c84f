/* log.h - one callback for lines of talk (notices and warnings); without a callback they are dropped. */
#ifndef VB_BASE_LOG_H
#define VB_BASE_LOG_H

enum { VB_LOG_NOTICE = 0, VB_LOG_WARNING = 1 };
void vb_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
