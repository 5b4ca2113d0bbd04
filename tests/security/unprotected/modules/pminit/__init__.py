"""In place of the package of this name, which runs npm as it installs: PythonMonkey asks where it is.

PythonMonkey then takes `../pythonmonkey/node_modules` for the modules that npm would have fetched.
"""
