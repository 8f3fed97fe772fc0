// Threads: create, join, mutexes under contention, condition variables, thread-local storage, cancellation by exit.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;
static int stage;
static __thread int local = 7;
static sem_t semaphore;

static void *count(void *argument) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    local += (int)(long)argument;
    return (void *)(long)local;
}

static void *relay(void *argument) {
    int mine = (int)(long)argument;
    pthread_mutex_lock(&mutex);
    while (stage != mine) pthread_cond_wait(&condition, &mutex);
    stage++;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    sem_post(&semaphore);
    return 0;
}

static void *sleeper(void *argument) {
    (void)argument;
    sem_post(&semaphore);
    for (;;) pause();
}

int main(void) {
    pthread_t threads[8];
    for (long i = 0; i < 8; i++) pthread_create(&threads[i], 0, count, (void *)i);
    long sum = 0;
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("counter %ld locals %ld own %d\n", counter, sum, local);

    sem_init(&semaphore, 0, 0);
    for (long i = 7; i >= 0; i--) pthread_create(&threads[i], 0, relay, (void *)i);
    for (int i = 0; i < 8; i++) sem_wait(&semaphore);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
    printf("stage %d\n", stage);

    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20 * 1000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&mutex);
    int result = pthread_cond_timedwait(&condition, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    printf("timed wait: %s\n", strerror(result));

    pthread_create(&threads[0], 0, sleeper, 0);
    sem_wait(&semaphore);
    pthread_cancel(threads[0]);
    void *value;
    pthread_join(threads[0], &value);
    printf("cancelled %d\n", value == PTHREAD_CANCELED);
    pthread_create(&threads[1], 0, sleeper, 0);
    sem_wait(&semaphore);
    printf("leaving with a thread asleep\n");
    fflush(stdout);
    exit(9);
}
