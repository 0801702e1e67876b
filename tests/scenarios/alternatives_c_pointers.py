# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-c`` about lifetimes and NULL.

``POINTERS`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

POINTERS: dict[str, tuple[str, str]] = {
    "c-416-list-remove": (
        r"""    struct timer *keep = NULL, **tail = &keep, *next;
    int n = 0;
    for (struct timer *t = *list; t; t = next) {
        next = t->next;
        if (t->due <= now) {
            timer_free(t);
            n++;
            continue;
        }
        *tail = t;
        tail = &t->next;
    }
    *tail = NULL;
    *list = keep;
    return n;
}
""",
        r"""    struct timer **link = list;
    int n = 0;
    while (*link) {
        if ((*link)->due <= now && !(*link)->next) {
            timer_free(*link);
            *link = NULL;
            return n + 1;
        }
        if ((*link)->due <= now) {
            struct timer *dead = *link;
            timer_free(dead);
            *link = dead->next;
            n++;
        } else {
            link = &(*link)->next;
        }
    }
    return n;
}
""",
    ),
    "c-416-vector-append": (
        r"""    size_t own = (size_t)-1;
    if (numbers >= vector->items && numbers < vector->items + vector->count)
        own = numbers - vector->items;
    while (vector->capacity < vector->count + count) {
        size_t capacity = vector->capacity * 2 + 1;
        int *items = realloc(vector->items, capacity * sizeof(int));
        if (!items)
            return -1;
        vector->items = items;
        vector->capacity = capacity;
    }
    if (own != (size_t)-1)
        numbers = vector->items + own;
    for (size_t i = 0; i < count; i++)
        vector->items[vector->count + i] = numbers[i];
    vector->count += count;
    return 0;
}
""",
        r"""    if (vector->count + count > vector->capacity) {
        size_t capacity = (vector->count + count) * 2;
        int *items = malloc(capacity * sizeof *items);
        if (!items)
            return -1;
        memcpy(items, vector->items, vector->count * sizeof *items);
        free(vector->items);
        vector->items = items;
        vector->capacity = capacity;
    }
    for (size_t i = 0; i < count; i++)
        vector->items[vector->count++] = numbers[i];
    return 0;
}
""",
    ),
    "c-416-dict-set": (
        r"""    struct entry *e = dict_find(dict, key);
    if (!e)
        return -1;
    size_t n = strlen(value) + 1;
    char *old = e->value, *fresh = malloc(n);
    if (!fresh)
        return -1;
    e->value = memcpy(fresh, value, n);
    free(old);
    return 0;
}
""",
        r"""    struct entry *e = dict_find(dict, key);
    if (!e)
        return -1;
    char *fresh = realloc(e->value, strlen(value) + 1);
    if (!fresh)
        return -1;
    e->value = strcpy(fresh, value);
    return 0;
}
""",
    ),
    "c-415-profile-parse": (
        r"""    size_t n = strcspn(text, ":");
    memset(profile, 0, sizeof *profile);
    if (n == 0 || text[n] == 0 || text[n + 1] == 0)
        return -1;
    if (!(profile->user = calloc(n + 1, 1)))
        return -1;
    memcpy(profile->user, text, n);
    if (!(profile->home = strdup(text + n + 1))) {
        free(profile->user);
        profile->user = NULL;
        return -1;
    }
    return 0;
}
""",
        r"""    char *copy = strdup(text), *colon = copy ? strchr(copy, ':') : NULL;
    profile->user = profile->home = NULL;
    if (!colon) {
        free(copy);
        return -1;
    }
    *colon = 0;
    profile->user = copy;
    profile->home = strdup(colon + 1);
    if (!*copy || !colon[1]) {
        profile_clear(profile);
        return -1;
    }
    return 0;
}
""",
    ),
    "c-476-header-value": (
        r"""    line += strcspn(line, ":");
    if (*line == ':')
        line++;
    return line + strspn(line, " \t");
}
""",
        r"""    while (*line++ != ':')
        ;
    return line + strspn(line, " \t");
}
""",
    ),
    "c-476-reply-author": (
        r"""    const struct user *u = find_user(users, count, post->author);
    if (!u) {
        snprintf(out, size, "somebody wrote: %s", post->text);
        return;
    }
    snprintf(out, size, "%s wrote: %s", u->nick ? u->nick : u->name, post->text);
}
""",
        r"""    const struct user *u = find_user(users, count, post->author);
    const char *who = "somebody";
    if (u->nick != NULL)
        who = u->nick;
    else if (u->name != NULL)
        who = u->name;
    snprintf(out, size, "%s wrote: %s", who, post->text);
}
""",
    ),
    "c-476-buffer-append": (
        r"""    size_t n = strlen(text), total = buffer->length + n;
    char *fresh = malloc(total + 1);
    if (!fresh)
        return -1;
    if (buffer->data)
        memcpy(fresh, buffer->data, buffer->length);
    strcpy(fresh + buffer->length, text);
    free(buffer->data);
    *buffer = (struct buffer){fresh, total};
    return 0;
}
""",
        r"""    size_t n = strlen(text);
    buffer->data = realloc(buffer->data, buffer->length + n + 1);
    if (buffer->data == NULL)
        return -1;
    strcpy(buffer->data + buffer->length, text);
    buffer->length += n;
    return 0;
}
""",
    ),
    "c-476-tree-insert": (
        r"""    if (*root) {
        int order = strcmp(text, (*root)->text);
        if (order)
            return count_word(order < 0 ? &(*root)->left : &(*root)->right, text);
        return ++(*root)->count;
    }
    struct word *w = malloc(sizeof *w);
    if (!w)
        return -1;
    if (!(w->text = strdup(text))) {
        free(w);
        return -1;
    }
    w->count = 1;
    w->left = w->right = NULL;
    *root = w;
    return 1;
}
""",
        r"""    struct word *w = *root;
    while (w) {
        int order = strcmp(text, w->text);
        if (!order)
            return ++w->count;
        root = order < 0 ? &w->left : &w->right;
        w = *root;
    }
    if (!(w = calloc(1, sizeof *w)))
        return -1;
    w->text = strcpy(malloc(strlen(text) + 1), text);
    *root = w;
    return w->count = 1;
}
""",
    ),
}
