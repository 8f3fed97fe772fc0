#include "native_test.h"
