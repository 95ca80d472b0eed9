"""The local web page of `restore serve`.

Importing it keeps gradio, which reads these when it is imported, from opening connections.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
