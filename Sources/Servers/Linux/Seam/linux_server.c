#include "linux_server.h"
