/* Edit distance in C. SOURCE_DIGEST comes from a header that the plan's first stage writes. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "source_digest.h"

static Py_ssize_t least(Py_ssize_t a, Py_ssize_t b) { return a < b ? a : b; }

static PyObject *distance(PyObject *module, PyObject *args)
{
    PyObject *left, *right;
    if (!PyArg_ParseTuple(args, "UU", &left, &right))
        return NULL;
    Py_ssize_t rows = PyUnicode_GET_LENGTH(left), columns = PyUnicode_GET_LENGTH(right);
    Py_ssize_t *row = PyMem_New(Py_ssize_t, columns + 1);
    if (row == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t j = 0; j <= columns; j++)
        row[j] = j;
    for (Py_ssize_t i = 1; i <= rows; i++) {
        Py_ssize_t diagonal = row[0];
        Py_UCS4 letter = PyUnicode_READ_CHAR(left, i - 1);
        row[0] = i;
        for (Py_ssize_t j = 1; j <= columns; j++) {
            Py_ssize_t replaced = diagonal + (letter != PyUnicode_READ_CHAR(right, j - 1));
            diagonal = row[j];
            row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
        }
    }
    Py_ssize_t result = row[columns];
    PyMem_Free(row);
    return PyLong_FromSsize_t(result);
}

static PyMethodDef methods[] = {
    {"distance", distance, METH_VARARGS, "Return the edit distance of two strings."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_distance", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__distance(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddStringConstant(module, "SOURCE_DIGEST", SOURCE_DIGEST) < 0)
        Py_CLEAR(module);
    return module;
}
